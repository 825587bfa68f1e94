//! The plan against made-up peers: no sockets, and a clock that only the attempts move.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::failure::Reason;
use crate::names::{AlertDescription, Suite, Version};
use crate::tls::handshake::Agreed;
use crate::tls::hello::{self, Answer};

const LIMIT: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(20);

/// What a made-up peer does with one connection.
#[derive(Clone, Copy, Debug)]
enum Does {
    Succeed,
    /// As above, after all of this time.
    SucceedAfter(Duration),
    /// Takes the hello and closes.
    Close,
    /// Takes the hello and says nothing.
    Stall,
    /// Sends a fatal alert.
    Alert(u8),
    Refuse,
    /// Does not answer the connection request.
    Vanish,
    /// Our own machine is short of something.
    Lack,
    /// Answers a hello of our own with TLS 1.0.
    ShowTls10,
    /// Answers a hello of our own with what rustls speaks.
    ShowTls12,
}

use Does::{
    Alert, Close, Lack, Refuse, ShowTls10, ShowTls12, Stall, Succeed, SucceedAfter, Vanish,
};

/// The hello of a dial, in short.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Said {
    Full,
    Classical,
    FullWithoutAlpn,
    ClassicalWithoutAlpn,
    Plain,
}

use Said::{Classical, ClassicalWithoutAlpn, Full, FullWithoutAlpn, Plain};

fn said(speech: &Speech) -> Said {
    match speech {
        Speech::Plain(_) => Plain,
        Speech::Handshake(hello) => match (hello.groups, hello.alpn.is_offered()) {
            (Groups::All, true) => Full,
            (Groups::All, false) => FullWithoutAlpn,
            (Groups::Classical, true) => Classical,
            (Groups::Classical, false) => ClassicalWithoutAlpn,
        },
        _ => unreachable!("follow-ups alone say this"),
    }
}

/// What came of a dial to such a peer when this much time was left.
fn attempt(dial: &Dial, does: Does, left: Duration) -> Attempt {
    let fails = |stage, kind| Err(Failure::new(stage, kind, "made up"));
    let result = match does {
        Succeed | SucceedAfter(_) | ShowTls10 | ShowTls12 => Ok(()),
        Close => fails(Stage::Handshake, Kind::Eof),
        Stall => fails(Stage::Handshake, Kind::Timeout),
        Refuse => fails(Stage::Connect, Kind::Refused),
        Vanish => fails(Stage::Connect, Kind::Timeout),
        Lack => fails(Stage::Local, Kind::Resource),
        Alert(number) => Err(Failure::from(Reason {
            alert: Some(AlertDescription(number)),
            ..(*Failure::new(Stage::Handshake, Kind::Alert, "made up")).clone()
        })),
    };
    let mut attempt = Attempt::new(dial, result);
    if !matches!(does, Refuse | Vanish | Lack) {
        attempt.times.connect = Some(MOMENT);
        attempt.is_answered = !matches!(does, Close | Stall);
        attempt.saw_hello = matches!(does, Succeed | SucceedAfter(_) | ShowTls10 | ShowTls12);
        (attempt.sent, attempt.received) = (100, 10);
        let window = if dial.patience == Patience::Whole { left } else { left / 2 };
        attempt.times.handshake = Some(match does {
            Stall => window,
            SucceedAfter(time) => time,
            _ => MOMENT,
        });
    }
    if said(&dial.speech) == Plain {
        let hello = |version| hello::ServerHello::made_up(version, Suite(0x002f));
        let answer = Answer {
            hello: match does {
                ShowTls10 => Some(hello(Version::TLS_1_0)),
                ShowTls12 => Some(hello::ServerHello::made_up(Version::TLS_1_2, Suite(0xc02f))),
                _ => None,
            },
            alert: match does {
                Alert(number) => {
                    Some(hello::Alert { level: 2, description: AlertDescription(number) })
                }
                _ => None,
            },
            ..Answer::default()
        };
        attempt.agreed = Agreed::in_plain_text(&answer);
        attempt.answer = Some(Box::new(answer));
    }
    attempt
}

/// A target with this many addresses.
fn plan(addresses: u8) -> Plan {
    let address = |n| SocketAddr::new(Ipv4Addr::new(192, 0, 2, n).into(), 443);
    Plan {
        addresses: (1..=addresses).map(address).collect(),
        alpn: AlpnOffer::SOME,
        has_classical: true,
        legacy: true,
        retries: 0,
    }
}

/// What a made-up peer knows of a connection.
struct Met {
    said: Said,
    /// Connections before it.
    before: usize,
    at: Ipv4Addr,
}

/// Follows the plan against a peer.
fn follow(plan: &Plan, peer: impl Fn(Met) -> Does) -> Attempts {
    let mut attempts = Attempts::default();
    let mut left = LIMIT;
    loop {
        match plan.next(&attempts, left) {
            Next::Dial(dial) => {
                let IpAddr::V4(at) = dial.address.ip() else {
                    unreachable!("every address is of IPv4");
                };
                let met = Met { said: said(&dial.speech), before: attempts.len(), at };
                let does = peer(met);
                let attempt = attempt(&dial, does, left);
                left -= attempt.times.handshake.unwrap_or_default();
                attempts.push(attempt);
            }
            Next::Retry(_) => {
                attempts.begin_try();
                left = LIMIT;
            }
            Next::Stop => return attempts,
        }
    }
}

/// What was said, in order, in the last try.
fn sequence(attempts: &Attempts) -> Vec<Said> {
    attempts.this_try().iter().map(|attempt| said(&attempt.speech)).collect()
}

fn ends_ok(attempts: &Attempts) -> bool {
    attempts.standing().is_some_and(|attempt| attempt.result.is_ok())
}

#[test]
fn one_connection_is_enough_where_it_succeeds() {
    let attempts = follow(&plan(3), |_| Succeed);
    assert_eq!(sequence(&attempts), [Full]);
    assert!(ends_ok(&attempts));
    assert_eq!(attempts.is_pq_intolerant(), None);
    assert!(!attempts.is_alpn_refused());
}

#[test]
fn a_peer_that_never_answers_a_full_hello_is_pq_intolerant() {
    for silence in [Close, Stall] {
        let attempts = follow(&plan(1), |met| match met.said {
            Full => silence,
            _ => Succeed,
        });
        let expected = [Full, Classical, Full, Full, Classical, Classical];
        assert_eq!(sequence(&attempts), expected, "{silence:?}");
        assert!(ends_ok(&attempts));
        assert_eq!(attempts.is_pq_intolerant(), Some(true), "{silence:?}");
        assert_eq!(attempts.standing().and_then(Attempt::hello).unwrap().groups, Groups::Classical);
    }
}

#[test]
fn a_peer_that_drops_connections_whatever_they_say_is_not_pq_intolerant() {
    let every_second = |drops_even: bool| {
        follow(
            &plan(1),
            move |met| if (met.before % 2 == 0) == drops_even { Close } else { Succeed },
        )
    };
    let attempts = every_second(true);
    assert_eq!(sequence(&attempts), [Full, Classical, Full, Full]);
    assert!(ends_ok(&attempts));
    assert_eq!(attempts.is_pq_intolerant(), None);
    assert_eq!(sequence(&every_second(false)), [Full]);

    let only_the_first = follow(&plan(1), |met| if met.before == 0 { Stall } else { Succeed });
    assert_eq!(sequence(&only_the_first), [Full, Classical, Full]);
    assert!(ends_ok(&only_the_first));
    assert_eq!(only_the_first.is_pq_intolerant(), None);
    let standing = only_the_first.standing().and_then(Attempt::hello).unwrap();
    assert_eq!(standing.groups, Groups::All, "the last success counts");
}

/// Whatever a peer drops by the number of the connection, it is not intolerant; nor is one that answers
/// the smaller hello with something else than a ServerHello.
#[test]
fn no_pattern_of_drops_is_taken_for_intolerance() {
    for period in 1..=5_usize {
        for dropped in 0..1_usize << period {
            let attempts =
                follow(&plan(1), move |met| match dropped >> (met.before % period) & 1 {
                    1 => Close,
                    _ => Succeed,
                });
            assert_eq!(attempts.is_pq_intolerant(), None, "{dropped:b} of {period}");
        }
    }
    // A limit of connections for each client, reached at any time.
    for served in 0..8 {
        let limited = follow(&plan(1), |met| match met.before {
            0 => Stall,
            number if number <= served => Succeed,
            _ => Close,
        });
        assert_eq!(limited.is_pq_intolerant(), None, "{served} were served");
    }
    for other in [Alert(40), Alert(112)] {
        let attempts = follow(&plan(1), |met| if met.said == Full { Close } else { other });
        assert_eq!(sequence(&attempts)[..2], [Full, Classical]);
        assert!(!sequence(&attempts)[2..].contains(&Full), "{other:?}");
        assert_eq!(attempts.is_pq_intolerant(), None, "{other:?}");
    }
}

/// Of all 64 ways in which six connections may go by chance, one looks like intolerance.
#[test]
fn chance_looks_like_intolerance_once_in_64_times() {
    let looks_intolerant = |dropped: u32| {
        let peer = |met: Met| if dropped >> met.before & 1 == 1 { Close } else { Succeed };
        follow(&plan(1), peer).is_pq_intolerant().is_some()
    };
    assert_eq!((0..64).filter(|dropped| looks_intolerant(*dropped)).collect::<Vec<_>>(), [0b1101]);
}

#[test]
fn without_time_for_the_controls_intolerance_stays_unknown() {
    // The full hello has half of the limit, and the smaller one nearly all that is left.
    let slow = Duration::from_millis(4900);
    let attempts = follow(&plan(1), |met| match met.said {
        Full => Stall,
        _ => SucceedAfter(slow),
    });
    assert_eq!(sequence(&attempts), [Full, Classical]);
    assert!(ends_ok(&attempts));
    assert_eq!(attempts.is_pq_intolerant(), None);
}

#[test]
fn a_control_that_is_not_left_unanswered_proves_nothing() {
    for other in [Refuse, Lack, Alert(40)] {
        let attempts = follow(&plan(1), |met| match (met.said, met.before) {
            (Full, 0) => Close,
            (Full, _) => other,
            _ => Succeed,
        });
        assert_eq!(sequence(&attempts), [Full, Classical, Full], "{other:?}");
        assert!(ends_ok(&attempts), "the smaller hello's success stands");
        assert_eq!(attempts.is_pq_intolerant(), None);
    }
}

#[test]
fn a_smaller_hello_without_an_answer_changes_nothing() {
    let plan = Plan { legacy: false, ..plan(1) };
    let attempts = follow(&plan, |met| if met.before == 0 { Close } else { Refuse });
    assert_eq!(sequence(&attempts), [Full, Classical]);
    assert!(attempts.standing().unwrap().failed(Stage::Handshake, &[Kind::Eof]));
    // Half of the limit of silence is not yet a timeout, so the second dial's failure stands.
    let attempts = follow(&plan, |met| if met.before == 0 { Stall } else { Close });
    assert!(attempts.standing().unwrap().failed(Stage::Handshake, &[Kind::Eof]));
    let attempts = follow(&plan, |met| if met.before == 0 { Stall } else { Refuse });
    assert!(attempts.standing().unwrap().failed(Stage::Handshake, &[Kind::Timeout]));
}

#[test]
fn a_refusal_of_every_application_protocol_is_followed_by_a_hello_without() {
    let attempts = follow(&plan(1), |met| match met.said {
        Full | Classical => Alert(120),
        _ => Succeed,
    });
    assert_eq!(sequence(&attempts), [Full, FullWithoutAlpn]);
    assert!(ends_ok(&attempts) && attempts.is_alpn_refused());

    let none = Plan { alpn: AlpnOffer::NONE, ..plan(1) };
    let attempts = follow(&none, |_| Alert(120));
    assert_eq!(sequence(&attempts), [FullWithoutAlpn], "nothing had been offered");
    assert!(!attempts.is_alpn_refused());

    let attempts = follow(&plan(1), |met| if met.said == Full { Alert(120) } else { Close });
    assert_eq!(sequence(&attempts)[..3], [Full, FullWithoutAlpn, ClassicalWithoutAlpn]);
    let failure = attempts.standing().and_then(|attempt| attempt.result.as_ref().err());
    assert_eq!(failure.unwrap().kind, Kind::Alert, "the alert is the only answer");
}

#[test]
fn alpn_and_large_hellos_may_both_be_too_much() {
    let attempts = follow(&plan(1), |met| match met.said {
        Full | FullWithoutAlpn => Close,
        Classical => Alert(120),
        _ => Succeed,
    });
    let begin = [Full, Classical, ClassicalWithoutAlpn, FullWithoutAlpn, FullWithoutAlpn];
    assert_eq!(sequence(&attempts)[..5], begin);
    assert_eq!(sequence(&attempts)[5..], [ClassicalWithoutAlpn, ClassicalWithoutAlpn]);
    assert!(ends_ok(&attempts) && attempts.is_alpn_refused());
    assert_eq!(attempts.is_pq_intolerant(), Some(true));
}

#[test]
fn what_rustls_cannot_speak_is_shown_by_a_hello_of_our_own() {
    let attempts = follow(&plan(1), |met| if met.said == Plain { ShowTls10 } else { Alert(70) });
    assert_eq!(sequence(&attempts), [Full, Plain]);
    assert!(attempts.standing().unwrap().is_beyond_rustls);
    assert_eq!(attempts.explained().and_then(Attempt::hello).unwrap().groups, Groups::All);

    let attempts = follow(&plan(1), |met| if met.said == Plain { ShowTls12 } else { Alert(40) });
    assert_eq!(sequence(&attempts), [Full, Plain]);
    assert!(attempts.standing().unwrap().hello().is_some(), "it was something else");
    assert!(attempts.explained().is_none());

    let attempts = follow(&plan(1), |_| Alert(40));
    assert_eq!(sequence(&attempts), [Full, Plain, Plain, Plain], "common, rare and SSL 3.0");
    let attempts = follow(&plan(1), |_| Alert(112));
    assert_eq!(sequence(&attempts), [Full], "the name is refused, not the offer");
    let attempts = follow(&Plan { legacy: false, ..plan(1) }, |_| Alert(40));
    assert_eq!(sequence(&attempts), [Full]);
}

#[test]
fn addresses_are_tried_in_turn_until_one_answers() {
    let third = Ipv4Addr::new(192, 0, 2, 3);
    let attempts = follow(&plan(4), |met| if met.at == third { Alert(112) } else { Refuse });
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts.standing().unwrap().ip(), third);

    let attempts = follow(&plan(4), |_| Refuse);
    assert_eq!(attempts.len(), 4);
    let first = Ipv4Addr::new(192, 0, 2, 1);
    assert_eq!(attempts.standing().unwrap().ip(), first, "later ones are second choices");
    assert_eq!(attempts.costs(), Costs { dials: 4, sent: None, received: None });

    let attempts = follow(&plan(4), |_| Lack);
    assert_eq!(attempts.len(), 1, "a shortage of our own would meet the next address as well");
}

#[test]
fn a_later_try_goes_to_the_address_that_answered() {
    let plan = Plan { retries: 2, has_classical: false, legacy: false, ..plan(3) };
    let second = Ipv4Addr::new(192, 0, 2, 2);
    let attempts = follow(&plan, |met| match met.at == second {
        true if met.before < 3 => Close,
        true => Succeed,
        false => Refuse,
    });
    assert!(ends_ok(&attempts));
    assert_eq!(attempts.costs(), Costs { dials: 4, sent: Some(300), received: Some(30) });
}

#[test]
fn retries_are_for_what_may_pass() {
    let failure = |stage, kind| Failure::new(stage, kind, "");
    let timeout = failure(Stage::Connect, Kind::Timeout);
    let pauses: Vec<_> = (0..4).map(|n| pause(&timeout, n, 3)).collect();
    let ms = |n| Some(Duration::from_millis(n));
    assert_eq!(pauses, [ms(250), ms(500), ms(1000), None]);
    assert!(pause(&timeout, 40, 99).unwrap() > Duration::from_secs(1 << 20), "no overflow");
    for (stage, kind) in [
        (Stage::Connect, Kind::Refused),
        (Stage::Resolve, Kind::NotFound),
        (Stage::Handshake, Kind::Alert),
        (Stage::Local, Kind::Resource),
    ] {
        assert_eq!(pause(&failure(stage, kind), 0, 9), None, "{kind:?}");
    }
}

#[test]
fn no_peer_gets_more_than_so_many_connections() {
    let greedy = Plan { retries: u32::MAX, ..plan(8) };
    for does in [Close, Stall, Vanish] {
        assert_eq!(follow(&greedy, |_| does).len(), MAX_CONNECTIONS, "{does:?}");
    }
    let attempts = follow(&greedy, |met| if met.said == Full { Alert(120) } else { Close });
    assert_eq!(attempts.len(), 3, "an alert is an answer, so there is no retry");
}

#[test]
fn a_superseded_attempt_gives_up_its_bulk() {
    let mut attempts = Attempts::default();
    for does in [Alert(120), Succeed, Close] {
        let Next::Dial(dial) = plan(1).next(&Attempts::default(), LIMIT) else {
            unreachable!("there is always a first dial");
        };
        let mut attempt = attempt(&dial, does, LIMIT);
        attempt.seen.chain = vec![vec![0; 1000].into()];
        attempt.examined = Some(Box::default());
        attempts.push(attempt);
    }
    let kept: Vec<_> = attempts.this_try().iter().map(|a| a.examined.is_some()).collect();
    assert_eq!(kept, [false, true, false], "only the success counts");
    assert_eq!(attempts.this_try().iter().filter(|a| !a.seen.chain.is_empty()).count(), 1);
}
