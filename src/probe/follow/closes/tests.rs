use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::failure::{Failure, Kind, Stage};
use crate::names::content_type::HANDSHAKE;
use crate::probe::{Dial, Patience};

/// An attempt that was answered, or one that was dropped.
fn attempt(is_answered: bool) -> Attempt {
    let dial = Dial {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 443)),
        speech: Speech::Raw(Box::default()),
        patience: Patience::Whole,
    };
    let result = match is_answered {
        true => Ok(()),
        false => Err(Failure::new(Stage::Handshake, Kind::Reset, "reset")),
    };
    let first_read = if is_answered { vec![HANDSHAKE] } else { Vec::new() };
    Attempt { saw_hello: is_answered, first_read, ..Attempt::new(&dial, result) }
}

/// Asks questions that the server would answer, and controls, over connections of which `is_served` says
/// which are served. Returns how many questions seem to be refused once everything is known.
fn refused(is_served: impl Fn(usize) -> bool, questions: usize) -> usize {
    let mut connection = 0;
    let mut connect = || {
        connection += 1;
        attempt(is_served(connection - 1))
    };
    let mut closes = Closes::after(&[attempt(true)]);
    let mut refused = 0;
    for _ in 0..questions {
        if !connect().is_dropped() {
            continue;
        }
        let Some((_, turns)) = closes.check() else {
            continue;
        };
        if turns.iter().all(|turn| closes.settle(*turn, &connect()) == Evidence::Refusal) {
            closes.are_refusals();
            refused += 1;
        }
    }
    if closes.are_chance() { 0 } else { refused }
}

#[test]
fn no_rhythm_of_drops_looks_like_a_refusal() {
    for period in 2..=9 {
        for phase in 0..period {
            assert_eq!(refused(|number| number % period != phase, 40), 0, "drops each {period}th");
            assert_eq!(refused(|number| number % period == phase, 40), 0, "serves each {period}th");
        }
    }
}

#[test]
fn a_rate_limit_looks_like_no_refusal() {
    for first in 0..40 {
        assert_eq!(refused(|number| number < first, 40), 0, "drops from the {first}th on");
    }
}

#[test]
fn drops_at_random_look_like_no_refusal() {
    for percent in [20, 33, 50, 70] {
        let fooled = (0..1_000).filter(|seed| {
            let mut random = fastrand::Rng::with_seed(*seed);
            let served: Vec<_> = (0..400).map(|_| random.u32(0..100) >= percent).collect();
            refused(|number| served[number], 40) > 0
        });
        assert_eq!(fooled.count(), 0, "{percent} % dropped");
    }
}

#[test]
fn a_refusal_is_one_and_the_checks_have_a_limit() {
    let mut closes = Closes::after(&[attempt(true)]);
    let mut made = 0;
    let mut checks = 0;
    while let Some((_, turns)) = closes.check() {
        for turn in turns {
            assert_eq!(closes.settle(*turn, &attempt(*turn == Control)), Evidence::Refusal);
        }
        closes.are_refusals();
        made += turns.len();
        checks += 1;
    }
    assert!(!closes.are_chance());
    assert!(made <= MAX_CONTROLS && checks > 40, "{checks} checks with {made} connections");
}

#[test]
fn nothing_is_shown_without_a_control() {
    assert!(Closes::after(&[attempt(false)]).check().is_none());
}

#[test]
fn a_connection_that_could_not_be_made_shows_nothing() {
    let mut closes = Closes::after(&[attempt(true)]);
    let lost = Failure::new(Stage::Connect, Kind::Timeout, "");
    let lost = Attempt { result: Err(lost), ..attempt(false) };
    assert_eq!(closes.settle(Control, &lost), Evidence::Nothing);
    assert_eq!(closes.settle(Question, &lost), Evidence::Nothing);
    assert!(!closes.are_chance());
}

#[test]
fn an_answer_in_a_protocol_of_its_own_is_no_control() {
    let mut answered = attempt(true);
    assert!(Closes::after([&answered]).check().is_some());
    answered.saw_hello = false;
    assert!(answered.has_chosen());
    assert!(Closes::after([&answered]).check().is_none());
}
