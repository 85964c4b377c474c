//! dlctix as a peer: reads one JSON document from standard input and prints another. Test keys only.
//!
//!     contract   build a contract, sign it with every key, verify the signatures that came with it
//!     nonces     the public nonces of all players, for `bench`
//!     bench FILE time the building, the market maker's signing and the verification; FILE holds the `nonces`
//!
//! Only what 0.0.7 and 0.2.2 have in common is used, so that one source serves both.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{stdin, stdout, BufReader, BufWriter, Write};
use std::time::Duration;

use cpu_time::ProcessTime;
use dlctix::bitcoin::consensus::encode::serialize_hex;
use dlctix::bitcoin::sighash::{Prevouts, SighashCache};
use dlctix::bitcoin::taproot::LeafVersion;
use dlctix::bitcoin::{OutPoint, Script, TapLeafHash, TapSighashType, Transaction, TxOut, Witness};
use dlctix::musig2::PubNonce;
use dlctix::secp::{Point, Scalar};
use dlctix::{
    ContractParameters, ContractSignatures, ContributorPartialSignatureSharingRound, NonceSharingRound, Outcome,
    SigMap, SignedContract, SigningSession, TicketedDLC, WinCondition,
};
use rand::rngs::StdRng;
use rand::SeedableRng;
use serde::Deserialize;
use serde_json::{json, to_value, Map, Value};

type Fallible<T> = Result<T, Box<dyn Error>>;
type Nonces = BTreeMap<Point, SigMap<PubNonce>>;

#[derive(Deserialize)]
struct Request {
    params: ContractParameters,
    funding_outpoint: OutPoint,
    /// Hexadecimal, the market maker's first, then the players' in order.
    secret_keys: Vec<String>,
    #[serde(default)]
    ticket_preimages: Vec<String>,
    /// 32 bytes in hexadecimal that all secret nonces are drawn from.
    seed: String,
    /// Signatures made elsewhere, to be verified.
    signatures: Option<ContractSignatures>,
}

impl Request {
    fn keys(&self) -> Fallible<Vec<Scalar>> {
        Ok(self
            .secret_keys
            .iter()
            .map(|key| Scalar::from_hex(key))
            .collect::<Result<_, _>>()?)
    }

    fn rng(&self) -> Fallible<StdRng> {
        Ok(StdRng::from_seed(bytes32(&self.seed)?))
    }

    fn build(&self) -> Fallible<TicketedDLC> {
        Ok(TicketedDLC::new(self.params.clone(), self.funding_outpoint)?)
    }
}

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let request: Request = serde_json::from_reader(BufReader::new(stdin().lock()))?;
    let answer = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["contract"] => contract(&request)?,
        ["nonces"] => to_value(players_nonces(&request)?)?,
        ["bench", file] => bench(&request, file)?,
        _ => return Err("usage: contract | nonces | bench FILE".into()),
    };
    let mut output = BufWriter::new(stdout().lock());
    serde_json::to_writer(&mut output, &answer)?;
    Ok(output.flush()?)
}

fn contract(request: &Request) -> Fallible<Value> {
    let dlc = request.build()?;
    let funding = dlc.funding_output();
    let sessions = signed_sessions(request, dlc)?;
    let verdict = request.signatures.as_ref().map(|signatures| {
        let refused = |(key, session): &(Point, SigningSession<_>)| {
            session
                .verify_aggregated_signatures(signatures)
                .err()
                .map(|error| format!("{key}: {error:?}"))
        };
        sessions.iter().find_map(refused).unwrap_or_else(|| "accepted".into())
    });
    let signed = aggregate(sessions)?;
    let mut answer = describe(request, &signed, &funding)?;
    answer["version"] = json!(env!("CARGO_PKG_VERSION"));
    answer["funding_output"] =
        json!({"script_pubkey": funding.script_pubkey.to_hex_string(), "value": funding.value.to_sat()});
    answer["signatures"] = to_value(signed.all_signatures())?;
    answer["verdict"] = json!(verdict);
    Ok(answer)
}

type Signing = SigningSession<ContributorPartialSignatureSharingRound>;

/// A session of every party, after the exchange of nonces.
fn signed_sessions(request: &Request, dlc: TicketedDLC) -> Fallible<Vec<(Point, Signing)>> {
    let mut rng = request.rng()?;
    let mut nonces = Nonces::new();
    let mut opened = Vec::new();
    for key in request.keys()? {
        let session = SigningSession::<NonceSharingRound>::new(dlc.clone(), &mut rng, key)?;
        nonces.insert(session.our_public_key(), session.our_public_nonces().clone());
        opened.push(session);
    }
    let mut signed = Vec::new();
    for session in opened {
        let key = session.our_public_key();
        let session = session.aggregate_nonces_and_compute_partial_signatures(nonces.clone())?;
        signed.push((key, session.into_inner()));
    }
    Ok(signed)
}

fn aggregate(mut sessions: Vec<(Point, Signing)>) -> Fallible<SignedContract> {
    let shares = sessions
        .iter()
        .map(|(key, session)| (*key, session.our_partial_signatures().clone()))
        .collect();
    let (_, market_maker) = sessions.remove(0);
    Ok(market_maker.aggregate_all_signatures(shares)?)
}

/// Transactions and signature hashes; the hashes are recomputed here from the transactions and leaves of dlctix.
fn describe(request: &Request, signed: &SignedContract, funding: &TxOut) -> Fallible<Value> {
    let mut outcome_txs = Map::new();
    let mut split_txs = Map::new();
    let mut outcome_sighashes = Map::new();
    let mut split_sighashes = Map::new();
    for (outcome, weights) in &request.params.outcome_payouts {
        let outcome_tx = unsigned_outcome_tx(signed, outcome)?;
        let sighash = SighashCache::new(&outcome_tx).taproot_key_spend_signature_hash(
            0,
            &Prevouts::All(&[funding]),
            TapSighashType::Default,
        )?;
        outcome_sighashes.insert(outcome.to_string(), json!(hex::encode(sighash)));

        let split_tx = signed.unsigned_split_tx(outcome).ok_or("no split transaction")?;
        for &player_index in weights.keys() {
            let win = WinCondition {
                outcome: *outcome,
                player_index,
            };
            let leaf = split_leaf(request, signed, &win)?;
            let sighash = SighashCache::new(split_tx).taproot_script_spend_signature_hash(
                0,
                &Prevouts::All(&outcome_tx.output[..1]),
                leaf,
                TapSighashType::Default,
            )?;
            split_sighashes.insert(win.to_string(), json!(hex::encode(sighash)));
        }
        split_txs.insert(outcome.to_string(), transaction(split_tx));
        outcome_txs.insert(outcome.to_string(), transaction(&outcome_tx));
    }
    Ok(json!({
        "outcome_txs": outcome_txs,
        "split_txs": split_txs,
        "outcome_sighashes": outcome_sighashes,
        "split_sighashes": split_sighashes,
    }))
}

fn unsigned_outcome_tx(signed: &SignedContract, outcome: &Outcome) -> Fallible<Transaction> {
    let mut tx = match outcome {
        Outcome::Attestation(index) => signed.unsigned_outcome_tx(*index).cloned(),
        Outcome::Expiry => signed.expiry_tx(),
    }
    .ok_or("no outcome transaction")?;
    tx.input[0].witness = Witness::new();
    Ok(tx)
}

/// The leaf that a winner spends through, read from the witness that dlctix makes: signature, preimage, script, path.
fn split_leaf(request: &Request, signed: &SignedContract, win: &WinCondition) -> Fallible<TapLeafHash> {
    let preimage = request
        .ticket_preimages
        .get(win.player_index)
        .ok_or("a ticket preimage is missing")?;
    let tx = signed.signed_split_tx(win, bytes32(preimage)?)?;
    let script = tx.input[0].witness.nth(2).ok_or("a split has no leaf script")?;
    Ok(TapLeafHash::from_script(
        Script::from_bytes(script),
        LeafVersion::TapScript,
    ))
}

fn transaction(tx: &Transaction) -> Value {
    json!({"tx": serialize_hex(tx), "txid": tx.compute_txid().to_string()})
}

fn players_nonces(request: &Request) -> Fallible<Nonces> {
    let dlc = request.build()?;
    let mut rng = request.rng()?;
    let mut nonces = Nonces::new();
    for key in request.keys()?.into_iter().skip(1) {
        let session = SigningSession::<NonceSharingRound>::new(dlc.clone(), &mut rng, key)?;
        nonces.insert(session.our_public_key(), session.our_public_nonces().clone());
    }
    Ok(nonces)
}

fn bench(request: &Request, nonces_file: &str) -> Fallible<Value> {
    let nonces: Nonces = serde_json::from_reader(BufReader::new(std::fs::File::open(nonces_file)?))?;
    let signatures = request.signatures.as_ref().ok_or("signatures are missing")?;
    let key = *request.keys()?.first().ok_or("the market maker's key is missing")?;
    let mut rng = request.rng()?;

    let start = ProcessTime::now();
    let dlc = request.build()?;
    let build = start.elapsed();

    let start = ProcessTime::now();
    let session = SigningSession::<NonceSharingRound>::new(dlc, &mut rng, key)?;
    let session = session.aggregate_nonces_and_compute_partial_signatures(nonces)?;
    let sign = start.elapsed();
    let peak = peak_mib();

    let session = session.into_inner();
    let start = ProcessTime::now();
    session.verify_aggregated_signatures(signatures)?;
    let verify = start.elapsed();
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "build_ms": milliseconds(build),
        "sign_ms": milliseconds(sign),
        "verify_ms": milliseconds(verify),
        "peak_mib": peak,
    }))
}

/// The most memory this process ever held; null where the system does not tell.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn bytes32(text: &str) -> Fallible<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)?;
    Ok(bytes)
}
