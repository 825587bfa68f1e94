//! Finds everything that a server supports, by elimination.
//!
//! Nothing here does I/O: an [`Enumeration`] says which hello to send next, and is told the
//! outcome. It follows several independent tracks, such as the suites of one version. On each
//! track, the server's choice is left out of the next offer, until the server refuses.

mod track;

pub use track::{Accepted, Groups, Order, Version};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hello::Answer;
use super::legacy::{ClientHello, DEFLATE, MOST_SUITES, SIGNATURE_SCHEMES};
use crate::names::{self, AlertDescription, Group, Suite};
use track::{GroupTrack, Said, SuiteTrack, VERSIONS};

/// Whether a server supports something.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// The server used it.
    Supported,
    /// The server refused it, or answered without using it.
    NotSupported,
    /// The answers do not tell, or there was no way to ask.
    #[default]
    Unknown,
}

/// What came of a [`Probe`].
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The server said this, even if its flight was then cut short.
    Answered(&'a Answer),
    /// The server closed or reset the connection without a word, and that was shown to be how it
    /// refuses.
    Closed,
    /// A deadline expired, there was no connection, it was lost, or the answer was not TLS.
    Silent,
}

/// A hello to send on a connection of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probe {
    track: usize,
    offer: Offer,
}

/// What a hello offers.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Offer {
    version: names::Version,
    suites: Vec<Suite>,
    groups: Vec<Group>,
    compressions: &'static [u8],
}

impl Probe {
    /// The hello to send.
    pub fn hello(&self) -> ClientHello {
        let Offer { version, suites, groups, compressions } = self.offer.clone();
        ClientHello {
            version,
            suites: suites.into(),
            groups: groups.into(),
            compressions,
            schemes: SIGNATURE_SCHEMES.into(),
        }
    }
}

/// Everything that was found out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Findings {
    /// From SSL 3.0 to TLS 1.3, whether supported or not.
    pub versions: Vec<Version>,
    /// The curves of TLS 1.2 and before.
    pub curves: Groups,
    /// The groups of TLS 1.3.
    pub groups: Groups,
    /// Compression of the record layer, which CRIME is about.
    pub compression: Support,
    /// TLS_FALLBACK_SCSV (RFC 7507).
    pub fallback_scsv: Support,
    /// Secure renegotiation (RFC 5746).
    pub secure_renegotiation: Support,
    /// The extended master secret (RFC 7627).
    pub extended_master_secret: Support,
}

/// The enumeration of one server.
#[derive(Debug)]
pub struct Enumeration {
    tracks: Vec<Track>,
    /// True when the server has chosen from more suites than some can take.
    takes_all: bool,
    compression: Support,
    secure_renegotiation: Support,
    extended_master_secret: Support,
}

/// What is asked about one subject, and how the asking goes.
#[derive(Debug)]
struct Track {
    subject: Subject,
    asked: bool,
    silences: u8,
}

/// What a track finds out, and what is known of it.
#[derive(Debug)]
enum Subject {
    Suites(SuiteTrack),
    Groups(GroupTrack),
    Fallback(Option<Support>),
}

/// Connections without an answer, one after the other, after which a track of `--enumerate` is given
/// up.
pub(crate) const PATIENCE: u8 = 2;

const FALLBACK_SCSV: Suite = Suite(0x5600);

impl Track {
    fn new(subject: Subject) -> Self {
        Self { subject, asked: false, silences: 0 }
    }
}

impl Subject {
    fn is_in_parts(&self) -> bool {
        matches!(self, Self::Suites(suites) if suites.is_in_parts())
    }
}

impl Default for Enumeration {
    fn default() -> Self {
        Self::new()
    }
}

impl Enumeration {
    /// The start of an enumeration.
    pub fn new() -> Self {
        let newest_first = VERSIONS.iter().rev();
        let suites = newest_first.map(|version| Subject::Suites(SuiteTrack::new(*version)));
        let tracks = suites.chain([
            Subject::Groups(GroupTrack::tls13()),
            Subject::Groups(GroupTrack::curves()),
            Subject::Fallback(None),
        ]);
        Self {
            tracks: tracks.map(Track::new).collect(),
            takes_all: false,
            compression: Support::Unknown,
            secure_renegotiation: Support::Unknown,
            extended_master_secret: Support::Unknown,
        }
    }

    /// The next hello to send. `None` while nothing is left that could be asked before one of the
    /// probes under way has its outcome; when there are none, the enumeration is over.
    pub fn next_probe(&mut self) -> Option<Probe> {
        let find = |in_parts| {
            let tracks = self.tracks.iter().enumerate();
            tracks
                .filter(|(_, track)| !track.asked && track.silences < PATIENCE)
                .filter(|(_, track)| track.subject.is_in_parts() == in_parts)
                .find_map(|(index, track)| Some((index, self.offer(&track.subject)?)))
        };
        // The answer to a probe under way may show that asking in parts is not needed.
        let is_quiet = self.tracks.iter().all(|track| !track.asked || track.subject.is_in_parts());
        let (track, offer) = find(false).or_else(|| is_quiet.then(|| find(true))?)?;
        self.tracks.get_mut(track)?.asked = true;
        Some(Probe { track, offer })
    }

    /// Takes in what came of a probe.
    pub fn settle(&mut self, probe: &Probe, outcome: Outcome<'_>) {
        let said = Said::new(&probe.offer, outcome);
        self.note_extras(&probe.offer, &said);
        let Some(track) = self.tracks.get_mut(probe.track) else {
            return;
        };
        track.asked = false;
        let is_nothing = matches!(said, Said::ChoseGroup(_) | Said::Nothing);
        track.silences = if is_nothing { track.silences + 1 } else { 0 };
        match &mut track.subject {
            Subject::Suites(suites) => suites.settle(&said),
            Subject::Groups(groups) => groups.settle(&said),
            Subject::Fallback(support) => {
                *support = match said {
                    Said::Chose(..) => Some(Support::NotSupported),
                    Said::Refused(Some(AlertDescription::INAPPROPRIATE_FALLBACK)) => {
                        Some(Support::Supported)
                    }
                    Said::Refused(_) => Some(Support::Unknown),
                    Said::ChoseGroup(_) | Said::Nothing => None,
                };
            }
        }
        self.takes_all |= matches!(said, Said::Chose(..)) && probe.offer.suites.len() > MOST_SUITES;
        for track in self.tracks.iter_mut().filter(|track| !track.asked) {
            if let Subject::Suites(suites) = &mut track.subject
                && self.takes_all
                && suites.is_in_parts()
            {
                suites.rejoin();
            }
        }
    }

    /// Takes back every conclusion that was drawn from a close.
    pub fn doubt_closes(&mut self) {
        for track in &mut self.tracks {
            match &mut track.subject {
                Subject::Suites(suites) => suites.doubt_closes(),
                Subject::Groups(groups) => groups.doubt_closes(),
                Subject::Fallback(_) => {}
            }
        }
    }

    /// The findings. Whatever has no answer yet is unknown.
    pub fn into_findings(self) -> Findings {
        let mut findings = Findings {
            compression: self.compression,
            secure_renegotiation: self.secure_renegotiation,
            extended_master_secret: self.extended_master_secret,
            ..Findings::default()
        };
        for track in self.tracks {
            match track.subject {
                Subject::Suites(suites) => findings.versions.push(suites.into_version()),
                Subject::Groups(groups) if groups.is_tls13() => {
                    findings.groups = groups.into_groups()
                }
                Subject::Groups(groups) => findings.curves = groups.into_groups(),
                Subject::Fallback(support) => {
                    findings.fallback_scsv = support.unwrap_or_default();
                }
            }
        }
        findings.versions.reverse();
        findings
    }

    fn offer(&self, subject: &Subject) -> Option<Offer> {
        match subject {
            Subject::Suites(suites) => suites.offer(),
            Subject::Groups(groups) => groups.offer(),
            Subject::Fallback(None) => self.fallback_offer(),
            Subject::Fallback(Some(_)) => None,
        }
    }

    /// An offer that claims to fall back from the server's best version to its second best, once
    /// both are known.
    fn fallback_offer(&self) -> Option<Offer> {
        let mut supported = Vec::new();
        for track in &self.tracks {
            if let Subject::Suites(suites) = &track.subject {
                match suites.support() {
                    Some(Support::Supported) => supported.push(suites),
                    Some(_) => {}
                    None if track.silences < PATIENCE => return None,
                    None => {}
                }
            }
        }
        let second = supported.get(1)?;
        let mut suites = second.known();
        suites.push(FALLBACK_SCSV);
        Some(Offer::new(second.version(), suites))
    }

    /// Learns what every answer shows, whatever the probe was for.
    fn note_extras(&mut self, offer: &Offer, said: &Said<'_>) {
        let Said::Chose(hello, _) = said else {
            return;
        };
        // SSL 3.0 has no master secret to extend, and TLS 1.3 needs neither.
        if !(names::Version::TLS_1_0..=names::Version::TLS_1_2).contains(&hello.version()) {
            return;
        }
        let note = |known: &mut Support, seen| {
            if seen {
                *known = Support::Supported;
            } else if *known == Support::Unknown {
                *known = Support::NotSupported;
            }
        };
        if offer.compressions.contains(&DEFLATE) {
            note(&mut self.compression, hello.compression == DEFLATE);
        }
        note(&mut self.secure_renegotiation, hello.secure_renegotiation());
        note(&mut self.extended_master_secret, hello.extended_master_secret());
    }
}

#[cfg(test)]
mod tests;
