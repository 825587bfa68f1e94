//! However the bytes of a peer are split, a dialogue gives the same result, and it keeps and sends
//! little.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlsweep::dial::starttls::{BANNER_LIMIT, Conversation, PLAINTEXT_LIMIT, PROTOCOLS, Step};
use tlsweep::failure::{EVIDENCE_LIMIT, Failure, Kind, Stage};
use tlsweep_fuzz::script::Script;
use tlsweep_fuzz::text::unescaped_length;

/// How a dialogue ended.
#[derive(Debug)]
struct Outcome {
    sent: Vec<u8>,
    end: Result<Option<Vec<u8>>, Failure>,
}

fuzz_target!(|data: &[u8]| {
    let script = &mut Script::new(data);
    let protocol = &PROTOCOLS[script.below(PROTOCOLS.len())];
    let choices = script.byte();
    let host = match choices & 1 {
        0 => "fuzz.example",
        _ => "2001:db8::1",
    };
    let pieces_script = &mut Script::new(script.bytes());
    let mut words = script.rest().to_vec();
    if choices & 2 != 0 && !words.is_empty() {
        // More than the limit allows.
        words = words.repeat(PLAINTEXT_LIMIT / words.len() + 2);
    }
    let pieces = match choices & 4 {
        0 => pieces_script.pieces(&words),
        _ => words.chunks(usize::from(pieces_script.byte()) + 1).collect(),
    };
    let whole = talk(Conversation::new(protocol, host), [words.as_slice()]);
    let split = talk(Conversation::new(protocol, host), pieces);
    // Bytes that come in one piece may all be read before the answer. So a dialogue may be refused
    // that succeeds in pieces, but not the other way round.
    match (&whole.end, &split.end) {
        (Ok(end), Ok(split_end)) => {
            assert_eq!((&whole.sent, end), (&split.sent, split_end), "{protocol:?}");
        }
        (Ok(_), Err(_)) => panic!("{protocol:?}: {whole:?}, in pieces {split:?}"),
        (Err(_), Ok(Some(_))) => {}
        (Err(failure), Err(split)) => {
            let same = failure.kind == split.kind || failure.kind == Kind::Rejected;
            assert!(same, "{protocol:?}: {failure}, in pieces {split}");
        }
        (Err(_), Ok(None)) => panic!("{protocol:?}: {whole:?}, in pieces {split:?}"),
    }
    if words.len() > PLAINTEXT_LIMIT {
        assert!(whole.end.is_err(), "{protocol:?}");
        assert!(!matches!(split.end, Ok(None)), "{protocol:?}");
    }
});

fn talk<'a>(mut conversation: Conversation, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut sent = Vec::new();
    let mut end = Ok(None);
    match conversation.open() {
        Step::Send(bytes) => sent.extend(bytes),
        Step::Upgrade(_) => panic!("before the peer has spoken"),
        Step::Wait => {}
    }
    for piece in pieces {
        match conversation.receive(piece) {
            Ok(Step::Send(bytes)) => {
                assert!(!bytes.is_empty());
                sent.extend(bytes);
            }
            Ok(Step::Upgrade(bytes)) => end = Ok(Some(bytes)),
            Ok(Step::Wait) => {}
            Err(failure) => {
                check(&failure);
                end = Err(failure);
            }
        }
        if !matches!(end, Ok(None)) {
            break;
        }
    }
    if let Some(banner) = conversation.banner() {
        // A byte that is not UTF-8 becomes a character of three.
        assert!(banner.len() <= 3 * BANNER_LIMIT);
    }
    assert!(sent.len() <= 2 * PLAINTEXT_LIMIT, "{} bytes sent", sent.len());
    Outcome { sent, end }
}

fn check(failure: &Failure) {
    assert_eq!(failure.stage, Stage::Starttls);
    assert!(matches!(failure.kind, Kind::Protocol | Kind::Rejected | Kind::TooLarge), "{failure}");
    assert!(failure.detail.len() <= 256, "{failure}");
    if let Some(evidence) = &failure.evidence {
        assert!((1..=EVIDENCE_LIMIT).contains(&unescaped_length(evidence)));
    }
}
