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
    lines: Vec<Line>,
    /// True when the server has chosen from more suites than some can take.
    takes_all: bool,
    compression: Support,
    secure_renegotiation: Support,
    extended_master_secret: Support,
}

/// One track, and how the asking goes.
#[derive(Debug)]
struct Line {
    track: Track,
    asked: bool,
    silences: u8,
}

#[derive(Debug)]
enum Track {
    Suites(SuiteTrack),
    Groups(GroupTrack),
    Fallback(Option<Support>),
}

/// Connections without an answer, one after the other, after which a track of `--enumerate` is given
/// up.
pub(crate) const PATIENCE: u8 = 2;

const FALLBACK_SCSV: Suite = Suite(0x5600);

impl Line {
    fn new(track: Track) -> Self {
        Self { track, asked: false, silences: 0 }
    }
}

impl Track {
    fn is_in_parts(&self) -> bool {
        matches!(self, Self::Suites(track) if track.is_in_parts())
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
        let suites = newest_first.map(|version| Track::Suites(SuiteTrack::new(*version)));
        let tracks = suites.chain([
            Track::Groups(GroupTrack::tls13()),
            Track::Groups(GroupTrack::curves()),
            Track::Fallback(None),
        ]);
        Self {
            lines: tracks.map(Line::new).collect(),
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
            let lines = self.lines.iter().enumerate();
            lines
                .filter(|(_, line)| !line.asked && line.silences < PATIENCE)
                .filter(|(_, line)| line.track.is_in_parts() == in_parts)
                .find_map(|(track, line)| Some((track, self.offer(&line.track)?)))
        };
        // The answer to a probe under way may show that asking in parts is not needed.
        let is_quiet = self.lines.iter().all(|line| !line.asked || line.track.is_in_parts());
        let (track, offer) = find(false).or_else(|| is_quiet.then(|| find(true))?)?;
        self.lines.get_mut(track)?.asked = true;
        Some(Probe { track, offer })
    }

    /// Takes in what came of a probe.
    pub fn settle(&mut self, probe: &Probe, outcome: Outcome<'_>) {
        let said = Said::new(&probe.offer, outcome);
        self.note_extras(&probe.offer, &said);
        let Some(line) = self.lines.get_mut(probe.track) else {
            return;
        };
        line.asked = false;
        let is_nothing = matches!(said, Said::ChoseGroup(_) | Said::Nothing);
        line.silences = if is_nothing { line.silences + 1 } else { 0 };
        match &mut line.track {
            Track::Suites(track) => track.settle(&said),
            Track::Groups(track) => track.settle(&said),
            Track::Fallback(support) => {
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
        for line in self.lines.iter_mut().filter(|line| !line.asked) {
            if let Track::Suites(track) = &mut line.track
                && self.takes_all
                && track.is_in_parts()
            {
                track.rejoin();
            }
        }
    }

    /// Takes back every conclusion that was drawn from a close.
    pub fn doubt_closes(&mut self) {
        for line in &mut self.lines {
            match &mut line.track {
                Track::Suites(track) => track.doubt_closes(),
                Track::Groups(track) => track.doubt_closes(),
                Track::Fallback(_) => {}
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
        for line in self.lines {
            match line.track {
                Track::Suites(track) => findings.versions.push(track.into_version()),
                Track::Groups(track) if track.is_tls13() => findings.groups = track.into_groups(),
                Track::Groups(track) => findings.curves = track.into_groups(),
                Track::Fallback(support) => {
                    findings.fallback_scsv = support.unwrap_or_default();
                }
            }
        }
        findings.versions.reverse();
        findings
    }

    fn offer(&self, track: &Track) -> Option<Offer> {
        match track {
            Track::Suites(track) => track.offer(),
            Track::Groups(track) => track.offer(),
            Track::Fallback(None) => self.fallback_offer(),
            Track::Fallback(Some(_)) => None,
        }
    }

    /// An offer that claims to fall back from the server's best version to its second best, once
    /// both are known.
    fn fallback_offer(&self) -> Option<Offer> {
        let mut supported = Vec::new();
        for line in &self.lines {
            if let Track::Suites(track) = &line.track {
                match track.support() {
                    Some(Support::Supported) => supported.push(track),
                    Some(_) => {}
                    None if line.silences < PATIENCE => return None,
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
