// Refreshes the live part of a page. Every page is complete without it.
import htmx from "htmx.org";

htmx.config.allowEval = false;
htmx.config.includeIndicatorStyles = false;
htmx.config.historyEnabled = false;
// An unchanged part is answered 304: nothing is swapped, so focus and selection stay.
htmx.config.responseHandling = [
  { code: "204", swap: false },
  { code: "304", swap: false },
  { code: "[23]..", swap: true },
  { code: "[45]..", swap: false, error: true },
];

document.addEventListener("htmx:configRequest", (event) => {
  if (document.hidden) {
    event.preventDefault();
    return;
  }
  const tag = event.target.dataset.etag;
  if (tag) event.detail.headers["If-None-Match"] = tag;
});

// The status region is never swapped, so a screen reader hears a sentence only when it changes.
document.addEventListener("htmx:afterSettle", (event) => {
  const region = document.getElementById("announcement");
  const sentence = event.detail.elt?.dataset?.announce;
  if (region && sentence && region.textContent !== sentence) region.textContent = sentence;
});

const stale = (shown) => {
  const notice = document.getElementById("stale");
  if (notice) notice.hidden = !shown;
};
document.addEventListener("htmx:sendError", () => stale(true));
document.addEventListener("htmx:responseError", () => stale(true));
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.xhr?.status > 0 && event.detail.xhr.status < 400) stale(false);
});
