//! Plays transcripts to a dialogue, cut in every way that a network may cut them.

use super::{Conversation, Protocol, Step};
use crate::failure::Failure;

/// One turn of a transcript.
#[derive(Clone, Copy)]
pub(super) enum Said<'a> {
    /// What the peer says, in whatever pieces.
    Peer(&'a [u8]),
    /// What the peer says in one piece.
    Together(&'a [u8]),
    /// What we must have said by now.
    Us(&'a [u8]),
}

/// The banner of a dialogue that must end in TLS.
pub(super) fn upgrade_of(protocol: &str, script: &[Said<'_>]) -> Option<String> {
    let ends = play_in_pieces(protocol, script);
    for end in &ends {
        assert_eq!(end.as_ref().err(), None);
    }
    let banners: Vec<_> = ends.into_iter().flatten().collect();
    assert!(banners.windows(2).all(|pair| pair[0] == pair[1]));
    banners[0].clone()
}

/// The failure of a dialogue that must not end in TLS.
pub(super) fn failure_of(protocol: &str, script: &[Said<'_>]) -> Failure {
    let ends = play_in_pieces(protocol, script);
    let failures: Vec<_> = ends.into_iter().map(|end| end.unwrap_err()).collect();
    for failure in &failures {
        assert_eq!(failure.kind, failures[0].kind);
        assert_eq!(failure.detail, failures[0].detail);
    }
    failures[0].clone()
}

/// Plays the script whole, byte by byte, and cut once at each place. Returns each outcome.
fn play_in_pieces(protocol: &str, script: &[Said<'_>]) -> Vec<Result<Option<String>, Failure>> {
    let longest = script.iter().map(|said| match said {
        Said::Peer(bytes) => bytes.len(),
        Said::Together(_) | Said::Us(_) => 0,
    });
    let longest = longest.max().unwrap_or_default();
    // Cutting 16 KiB at every place would take long and prove nothing more.
    let cuts = (1..longest).step_by(1 + longest / 512);
    let whole = |bytes: &[u8]| vec![bytes.to_vec()];
    let single = |bytes: &[u8]| bytes.iter().map(|byte| vec![*byte]).collect();
    let mut ends = vec![play(protocol, script, whole), play(protocol, script, single)];
    ends.extend(cuts.map(|cut| {
        play(protocol, script, |bytes| {
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            vec![first.to_vec(), second.to_vec()]
        })
    }));
    ends
}

fn play(
    protocol: &str,
    script: &[Said<'_>],
    cut: impl Fn(&[u8]) -> Vec<Vec<u8>>,
) -> Result<Option<String>, Failure> {
    let protocol = Protocol::by_name(protocol).unwrap();
    let mut conversation = Conversation::new(protocol, "example.com");
    let mut said = match conversation.open() {
        Step::Send(bytes) => bytes,
        _ => Vec::new(),
    };
    let mut upgraded = false;
    for turn in script {
        let pieces = match turn {
            Said::Peer(bytes) => cut(bytes),
            Said::Together(bytes) => vec![bytes.to_vec()],
            Said::Us(bytes) => {
                assert_eq!(said.escape_ascii().to_string(), bytes.escape_ascii().to_string());
                said.clear();
                continue;
            }
        };
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            assert!(!upgraded, "the script goes on after the upgrade");
            match conversation.receive(piece)? {
                Step::Send(bytes) => said.extend(bytes),
                Step::Upgrade(bytes) => {
                    said.extend(bytes);
                    upgraded = true;
                }
                Step::Wait => {}
            }
        }
    }
    assert!(upgraded, "the script ends before the dialogue");
    Ok(conversation.banner())
}
