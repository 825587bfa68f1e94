//! Flags that say what tlsweep sends to a server.

use std::num::NonZero;

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use rustls::SignatureScheme;
use tlsweep::config::{self, Flag};
use tlsweep::dial::starttls::{PROTOCOLS, Protocol};
use tlsweep::names::{self, Group};
use tlsweep::probe::follow_up_flags;
use tlsweep::tls::drain::Goodbye;
use tlsweep::tls::handshake::{Alpn, Offer, Versions, known_groups};
use tlsweep::tls::schemes::{SchemeSet, known_schemes, scheme_of_number};

use super::values::{Bytes, at_once};

#[derive(Args, Debug)]
#[command(next_help_heading = "TLS")]
pub(crate) struct Tls {
    /// Plaintext protocol before TLS; auto: by the port [default: by the scheme of a URL]
    #[arg(long, value_name = "PROTO", value_parser = starttls_names())]
    starttls: Option<String>,

    /// Do not dial again to find out what a server speaks that tlsweep does not
    #[arg(long)]
    pub(super) no_legacy: bool,

    /// Protocol version to offer [default: both]
    #[arg(long = "tls", value_name = "VERSION", value_enum)]
    tls_version: Option<Version>,

    /// Key-exchange groups to offer, in order, such as X25519MLKEM768,P-256
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = group)]
    groups: Vec<Group>,

    /// Signature schemes to offer, in order, such as ecdsa_secp256r1_sha256,rsa_pss_rsae_sha256
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = signature_scheme)]
    signature_schemes: Vec<SignatureScheme>,

    /// Reuse a key share (X25519MLKEM768, X25519) for one second instead of making one for each
    /// hello
    #[arg(long)]
    reuse_key_share: bool,

    #[command(flatten)]
    pub(super) follow_ups: FollowUps,

    /// Connections to one server at once for --enumerate and --jarm
    #[arg(long, value_name = "N", default_value_t = config::PER_HOST, value_parser = at_once)]
    pub(super) per_host: NonZero<usize>,

    /// Application protocols to offer to every target, in order; - offers none [default: the name of
    /// the target's protocol, as imap; h2,http/1.1 where the protocol is HTTPS or not known]
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    alpn: Option<String>,

    /// When to send close_notify: first, right after the handshake, or last, when the peer is done
    #[arg(long, value_enum, default_value_t = When::First)]
    goodbye: When,

    /// Bytes to read off the wire after the handshake, as 4096, 64KiB or 1MiB
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(config::READ_LIMIT))]
    pub(super) read_limit: Bytes,
}

/// The flags of the follow-ups that were given.
#[derive(Debug)]
pub(super) struct FollowUps(pub(super) Vec<&'static Flag>);

impl Args for FollowUps {
    fn augment_args(command: Command) -> Command {
        command.args(follow_up_flags().map(|flag| {
            Arg::new(flag.name).long(flag.name).help(flag.help).action(ArgAction::SetTrue)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FollowUps {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(follow_up_flags().filter(|flag| matches.get_flag(flag.name)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Version {
    #[value(name = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    Tls13,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    First,
    Last,
}

/// The value of `--starttls` that chooses the protocol by the port.
const AUTO: &str = "auto";

impl Tls {
    /// What the hello offers.
    ///
    /// # Errors
    /// The protocols of `--alpn` cannot be offered.
    pub(super) fn offer(&self) -> Result<Offer> {
        let versions = match self.tls_version {
            None => Versions::Both,
            Some(Version::Tls12) => Versions::Tls12,
            Some(Version::Tls13) => Versions::Tls13,
        };
        Ok(Offer {
            versions,
            alpn: match &self.alpn {
                Some(list) => Alpn::Only(alpn(list)?),
                None => Alpn::OfProtocol,
            },
            groups: self.groups.clone(),
            schemes: self.schemes(versions)?,
            reuse_key_share: self.reuse_key_share,
        })
    }

    /// The signature schemes to offer; none: all.
    fn schemes(&self, versions: Versions) -> Result<Vec<SignatureScheme>> {
        let usable = SchemeSet::usable(versions);
        let wanted = &self.signature_schemes;
        if !wanted.is_empty() && !wanted.iter().any(|scheme| usable.contains(*scheme)) {
            let usable: Vec<_> = usable.iter().map(scheme_name).collect();
            bail!(
                "--signature-schemes: --tls rules all of these out; with it these can be offered: {}",
                usable.join(" ")
            );
        }
        Ok(wanted.clone())
    }

    /// Which targets begin in plain text.
    pub(super) fn starttls(&self) -> config::Starttls {
        match self.starttls.as_deref() {
            None => config::Starttls::Never,
            Some(AUTO) => config::Starttls::ByPort,
            Some(name) => {
                Protocol::by_name(name).map_or(config::Starttls::Never, config::Starttls::Always)
            }
        }
    }

    /// When to say `close_notify`.
    pub(super) fn goodbye(&self) -> Goodbye {
        match self.goodbye {
            When::First => Goodbye::First,
            When::Last => Goodbye::Last,
        }
    }
}

fn starttls_names() -> PossibleValuesParser {
    let names = PROTOCOLS.iter().map(|protocol| protocol.name);
    PossibleValuesParser::new(names.chain([AUTO]))
}

fn group(name: &str) -> Result<Group> {
    let group = Group::of_any_name(name.trim());
    group.filter(|group| known_groups().any(|known| known == *group)).with_context(|| {
        let known: Vec<_> = known_groups().map(Group::name).collect();
        format!("not a group that can be offered; these can: {}", known.join(" "))
    })
}

fn signature_scheme(name: &str) -> Result<SignatureScheme> {
    let number = names::signature_scheme_by_name(name.trim());
    number.and_then(scheme_of_number).with_context(|| {
        let known: Vec<_> = known_schemes().map(scheme_name).collect();
        format!("not a signature scheme that can be offered; these can: {}", known.join(" "))
    })
}

fn scheme_name(scheme: SignatureScheme) -> String {
    names::signature_scheme(scheme.into()).into_owned()
}

/// Bytes of the list of `--alpn`: with more, the extensions might not fit into a hello.
const ALPN_LIMIT: usize = 32 * 1024;

fn alpn(list: &str) -> Result<Vec<Vec<u8>>> {
    if matches!(list, "" | "-") {
        return Ok(Vec::new());
    }
    if list.len() > ALPN_LIMIT {
        bail!("--alpn: the list has {} bytes, and {ALPN_LIMIT} is the limit", list.len());
    }
    list.split(',')
        .map(|protocol| match protocol.trim() {
            "" => bail!("--alpn {list}: a protocol is empty; - offers none"),
            long if long.len() > 255 => bail!("--alpn {long}: longer than 255 bytes"),
            protocol => Ok(protocol.as_bytes().to_vec()),
        })
        .collect()
}
