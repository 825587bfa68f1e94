//! 6.8: peers that would like to cost more than their share.

use serde_json::Value;

use super::cases;
use crate::support::peer::Spec;
use crate::support::script::Step::{Hold, ReadClientKey, ReadHello, Say, UpTo};
use crate::support::script::{CLOSE_NOTIFY, EXTENSIONS, Step, warning};
use crate::support::tls::Chain;
use crate::support::tls::Msg::{
    Certificate, Certificate12, Finished, Finished12, HelloDone12, KeyExchange12, ServerHello12,
    Verify,
};

cases! {
    chain_of_65: tls13(65, 300) => "ok close_notify", Fast, |record| assert_kept(record, 65);
    chain_of_65_empty_ones: tls13(65, 0) => "ok close_notify", Fast, |record| assert_kept(record, 65);
    chain_of_65_tls12: tls12(65, 300) => "ok close_notify", Fast, |record| assert_kept(record, 65);
    chain_of_65_empty_ones_tls12: tls12(65, 0) => "ok close_notify", Fast,
        |record| assert_kept(record, 65);
    chain_of_256: tls13(256, 200) => "ok close_notify", Fast, |record| assert_kept(record, 256);
    chain_of_256_tiny_ones: tls13(256, 1) => "ok close_notify", Fast,
        |record| assert_kept(record, 256);
    chain_of_256_tls12: tls12(256, 200) => "ok close_notify", Fast,
        |record| assert_kept(record, 256);
    chain_of_256_tiny_ones_tls12: tls12(256, 1) => "ok close_notify", Fast,
        |record| assert_kept(record, 256);

    // From here on the peer stops after its certificates: the handshake has to end at once, or
    // what was parsed is held until its limit.
    chain_of_257: too_many13(257, 200) => "handshake/too_large", Fast, assert_counted;
    chain_of_257_empty_ones: too_many13(257, 0) => "handshake/too_large", Fast, assert_counted;
    chain_of_257_tls12: too_many12(257, 200) => "handshake/too_large", Fast, assert_counted;
    chain_of_257_empty_ones_tls12: too_many12(257, 0) => "handshake/too_large", Fast, assert_counted;
    chain_of_12_000_empty_ones: too_many13(12_000, 0) => "handshake/too_large", Fast, assert_counted;
    chain_of_20_000_empty_ones: too_many13(20_000, 0) => "handshake/too_large", Fast, assert_counted;
    chain_of_20_000_empty_ones_tls12: too_many12(20_000, 0) => "handshake/too_large", Fast,
        assert_counted;
    // Their length alone is too much.
    chain_of_20_000_large_ones: too_many13(20_000, 700) => "handshake/too_large", Fast;
    chain_of_20_000_large_ones_tls12: too_many12(20_000, 700) => "handshake/too_large", Fast;
}

/// The good leaf, and after it `count - 1` certificates of `size` bytes.
const fn padded(count: usize, size: usize) -> Chain {
    Chain::Padded { count, size }
}

fn tls13(count: usize, size: usize) -> Spec {
    Spec::script([
        UpTo(EXTENSIONS),
        Say(Certificate(padded(count, size))),
        Say(Verify),
        Say(Finished),
        warning(CLOSE_NOTIFY),
        Hold,
    ])
}

fn tls12(count: usize, size: usize) -> Spec {
    let steps: [Step; 8] = [
        ReadHello,
        Say(ServerHello12),
        Say(Certificate12(padded(count, size))),
        Say(KeyExchange12),
        Say(HelloDone12),
        ReadClientKey,
        Say(Finished12),
        warning(CLOSE_NOTIFY),
    ];
    Spec::script(steps.into_iter().chain([Hold]).collect::<Vec<_>>())
}

fn too_many13(count: usize, size: usize) -> Spec {
    Spec::script([UpTo(EXTENSIONS), Say(Certificate(padded(count, size))), Hold])
}

fn too_many12(count: usize, size: usize) -> Spec {
    Spec::script([ReadHello, Say(ServerHello12), Say(Certificate12(padded(count, size))), Hold])
}

fn assert_kept(record: &Value, sent: usize) {
    let chain = &record["chain"];
    assert_eq!(chain["length"], sent, "{record:#}");
    assert_eq!(chain["sha256"].as_array().unwrap().len(), sent.min(64), "{record:#}");
}

fn assert_counted(record: &Value) {
    let detail = record["error"]["detail"].as_str().unwrap();
    assert_eq!(detail, "the peer sent more than 256 certificates", "{record:#}");
    assert!(record.get("chain").is_none(), "{record:#}");
}
