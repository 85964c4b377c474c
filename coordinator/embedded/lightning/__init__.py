"""A small Lightning network behind the REST interface of LND 0.21, for development, demo and tests.

    bech32, bolt11, macaroon, gossip        what goes over the wire signed: real, with codecs of its own
    model, store, state, events             nodes, channels, invoices, payments; durable, then told
    channel                                 a channel as a ledger that conserves millisatoshis
    forwarding, routing                     HTLCs hop by hop, fees, CLTV; the way a payment takes
    invoices, payments, network             LND's rules of holds, parts, limits and repetition
    protojson, schemas, views, http, rest_* LND's requests and answers
    control, chain, server                  faults and wallets on demand; the height; the process

Simulated is only what lies between nodes: onions, gossip, commitment transactions. Keys, preimages, payment
requests and heights are real. Regtest on loopback only, over plain HTTP: a client that pins a TLS certificate at a
real node is configured without one here. What was acknowledged is on disk: kill -9 loses no invoice, no result and
no payment.
"""
