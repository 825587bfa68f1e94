//! Questions as they go over the wire (RFC 1035, section 4.1).

use hickory_proto::rr::{Name, RecordType};

use super::{Cause, Unresolved};
use crate::failure::{Failure, Kind, Stage};

/// Bytes of the header before the question.
pub(super) const HEADER: usize = 12;

/// Bytes that an answer over UDP may have: those that pass most networks in one piece.
const PAYLOAD: u16 = 1232;

/// A recursive query.
const FLAGS: [u8; 2] = [0x01, 0x00];
const CLASS_IN: u16 = 1;

/// Random bits for the case of letters: one for each byte of the longest name.
const CASES: usize = 32;

/// A question for the addresses of a name.
///
/// Its id and the case of its letters are random, and it is sent from a random port. An answer that
/// does not repeat all of them was made by somebody who did not see the question.
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) record_type: RecordType,
    pub(super) has_edns: bool,
    /// The message; its first two bytes are the id.
    message: Vec<u8>,
    /// Where in the message the question ends.
    end: usize,
    random: u32,
}

/// What a message has to do with a question whose id it has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Match {
    /// It repeats the question.
    Whole,
    /// It repeats the question but for the case of letters, as some servers do.
    OtherCase,
    /// It answers another question.
    Other,
    /// It is no answer that could be read.
    Nonsense,
}

impl Question {
    /// A question with a random id and case; with `edns`, larger answers may come over UDP
    /// (RFC 6891).
    ///
    /// # Errors
    /// This machine has no random numbers.
    pub(super) fn new(
        name: &Name,
        record_type: RecordType,
        edns: bool,
    ) -> Result<Self, Unresolved> {
        let mut random = [0; 4 + CASES];
        aws_lc_rs::rand::fill(&mut random).map_err(|_unspecified| {
            let detail = "this machine has no random numbers";
            let failure = Failure::new(Stage::Local, Kind::Resource, detail);
            Unresolved { failure, cause: Cause::OwnMachine, is_shortage: true }
        })?;
        let (seed, cases) = random.split_at(4);
        let counts = [0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
        let mut message = [&[0, 0], &FLAGS[..], &counts].concat();
        for label in name.iter() {
            // A `Name` has no label of more than 63 bytes.
            message.push(label.len() as u8);
            message.extend_from_slice(label);
        }
        message.push(0);
        for (at, byte) in message.iter_mut().skip(HEADER).enumerate() {
            let bits = cases.get(at / 8).copied().unwrap_or_default();
            // The length of a label is at most 63, so it is not mistaken for a letter.
            if byte.is_ascii_alphabetic() && bits >> (at % 8) & 1 == 1 {
                *byte ^= 0x20;
            }
        }
        message.extend_from_slice(&u16::from(record_type).to_be_bytes());
        message.extend_from_slice(&CLASS_IN.to_be_bytes());
        let end = message.len();
        if edns {
            let opt = u16::from(RecordType::OPT).to_be_bytes();
            // At the root; no extended code, version 0, no flags, no options.
            let record = [&[0], &opt[..], &PAYLOAD.to_be_bytes(), &[0; 6]].concat();
            message.extend_from_slice(&record);
        }
        let random = seed.iter().fold(0, |random, byte| random << 8 | u32::from(*byte));
        Ok(Self { name: name.clone(), record_type, has_edns: edns, message, end, random })
    }

    /// A random id.
    pub(super) fn id(&self) -> u16 {
        self.random as u16
    }

    /// A random number less than `count`.
    pub(super) fn random_below(&self, count: usize) -> usize {
        (self.random >> 16) as usize % count.max(1)
    }

    /// The message with this id.
    pub(super) fn message(&self, id: u16) -> Vec<u8> {
        let rest = self.message.get(2..).unwrap_or_default();
        [&id.to_be_bytes()[..], rest].concat()
    }

    /// Name, type and class, as they are in the message.
    pub(super) fn wire(&self) -> &[u8] {
        self.message.get(HEADER..self.end).unwrap_or_default()
    }
}

/// Compares a message with the question whose id it has.
pub(super) fn compare(wire: &[u8], message: &[u8]) -> Match {
    let Some((header, body)) = message.split_at_checked(HEADER) else { return Match::Nonsense };
    let is_response = header.get(2).is_some_and(|flags| flags & 0x80 != 0);
    match (is_response, header.get(4..6), body.get(..wire.len())) {
        (false, ..) => Match::Other,
        (true, Some([0, 1]), Some(question)) if question == wire => Match::Whole,
        // A type or class is no letter in either case.
        (true, Some([0, 1]), Some(question)) if question.eq_ignore_ascii_case(wire) => {
            Match::OtherCase
        }
        (true, Some([0, 1]), _) => Match::Other,
        (true, ..) => Match::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, OpCode};

    use super::*;

    fn question(edns: bool) -> Question {
        Question::new(&"www.example.com.".parse().unwrap(), RecordType::AAAA, edns).unwrap()
    }

    #[test]
    fn another_reader_finds_what_was_written() {
        for edns in [false, true] {
            let question = question(edns);
            let message = Message::from_vec(&question.message(0x1234)).unwrap();
            assert_eq!((message.metadata.id, message.metadata.op_code), (0x1234, OpCode::Query));
            assert!(message.metadata.recursion_desired);
            let [asked] = message.queries.as_slice() else { panic!("{message}") };
            assert_eq!((asked.name(), asked.query_type()), (&question.name, RecordType::AAAA));
            assert_eq!(message.edns.map(|edns| edns.max_payload()), edns.then_some(PAYLOAD));
        }
    }

    #[test]
    fn id_and_case_differ_from_question_to_question() {
        let questions: Vec<_> = (0..64).map(|_| question(true)).collect();
        let mut ids: Vec<_> = questions.iter().map(Question::id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert!(ids.len() > 60, "{ids:?}");
        for place in [1, 2, 5, 8, 13] {
            let upper = questions.iter().filter(|it| it.wire()[place].is_ascii_uppercase()).count();
            assert!((10..=54).contains(&upper), "letter {place}: {upper} of 64 in upper case");
        }
    }

    #[test]
    fn only_the_same_question_in_the_same_case_is_answered() {
        let question = question(true);
        let mut answer = question.message(7);
        assert_eq!(compare(question.wire(), &answer), Match::Other, "a question is no answer");
        answer[2] |= 0x80;
        assert_eq!(compare(question.wire(), &answer), Match::Whole);
        answer[HEADER + 1] ^= 0x20;
        assert_eq!(compare(question.wire(), &answer), Match::OtherCase);
        answer[HEADER + 1] = b'x';
        assert_eq!(compare(question.wire(), &answer), Match::Other);
        assert_eq!(compare(question.wire(), &answer[..20]), Match::Other);
        assert_eq!(compare(question.wire(), &answer[..11]), Match::Nonsense);
        answer[5] = 2;
        assert_eq!(compare(question.wire(), &answer), Match::Nonsense);
    }
}
