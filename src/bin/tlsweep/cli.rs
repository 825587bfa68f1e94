//! The command line: what was typed, and what it means.

use std::ffi::OsString;
use std::fmt;
use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, Parser, ValueEnum};
use tlsweep::cert::Wanted;
use tlsweep::config::{self, Config, Starttls};
use tlsweep::deadline::Limits;
use tlsweep::dial::resolve;
use tlsweep::dial::starttls::{PROTOCOLS, Protocol};
use tlsweep::feed::target::Sni;
use tlsweep::names;
use tlsweep::report::check::Checks;
use tlsweep::report::output::{FORMATS, Layout};
use tlsweep::report::schema::Fields;
use tlsweep::tls::drain::Goodbye;
use tlsweep::tls::handshake::{Offer, Versions, known_groups};

use crate::help::after_help;

/// How long the demo waits for its silent server.
const DEMO_HANDSHAKE: Duration = Duration::from_secs(1);

/// A mass TLS handshake scanner: one line in, one line out.
///
/// Dials every target under deadlines, says goodbye, drains and closes, and writes exactly one
/// result line for each to stdout.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_long_help = after_help())]
pub(crate) struct Cli {
    /// host, host:port, address, [v6]:port or URL, then ,SNI and ,TAG if you like
    ///
    /// Targets come from here, from -f, or from stdin when there are neither.
    #[arg(value_name = "TARGET")]
    targets: Vec<OsString>,

    /// File with a target a line; - is stdin; repeatable
    #[arg(short, long = "file", value_name = "FILE", help_heading = "Targets")]
    files: Vec<PathBuf>,

    /// Port of targets that name none, 1 to 65535
    #[arg(short, long, value_name = "N", default_value_t = config::PORT, value_parser = clap::value_parser!(u16).range(1..), help_heading = "Targets")]
    port: u16,

    /// Server name of lines that name none; - sends none [default: the host, unless an address]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true, help_heading = "Targets")]
    sni: Option<Sni>,

    /// Targets dialled at once; bent down to what the descriptor limit allows
    #[arg(short, long, value_name = "N", default_value_t = config::CONCURRENCY, value_parser = concurrency, help_heading = "Dialling")]
    concurrency: usize,

    /// Name server to ask instead of the system's; port 53 unless given; repeatable
    #[arg(long = "resolver", value_name = "IP[:PORT]", value_parser = name_server, help_heading = "Dialling")]
    resolvers: Vec<SocketAddr>,

    /// Address of this machine to dial from [default: as the routes say]
    #[arg(long, value_name = "ADDR", help_heading = "Dialling")]
    source: Option<IpAddr>,

    /// Longest time from a name to its addresses
    #[arg(long, value_name = "TIME", default_value_t = Span(config::LIMITS.resolve), help_heading = "Deadlines")]
    resolve_timeout: Span,

    /// Longest time for one address to accept the connection
    #[arg(long, value_name = "TIME", default_value_t = Span(config::LIMITS.connect), help_heading = "Deadlines")]
    connect_timeout: Span,

    /// Longest time for the plaintext dialogue before TLS, in total
    #[arg(long, value_name = "TIME", default_value_t = Span(config::LIMITS.starttls), help_heading = "Deadlines")]
    starttls_timeout: Span,

    /// Longest time for the handshake, in total
    #[arg(long, value_name = "TIME", default_value_t = Span(config::LIMITS.handshake), help_heading = "Deadlines")]
    handshake_timeout: Span,

    /// Longest time for what the peer sends after the handshake, in total
    #[arg(long, value_name = "TIME", default_value_t = Span(config::LIMITS.read), help_heading = "Deadlines")]
    read_timeout: Span,

    /// Longest time for a target, all attempts and steps
    #[arg(long, value_name = "TIME", default_value_t = Span(config::LIMITS.total), help_heading = "Deadlines")]
    timeout: Span,

    /// Plaintext protocol before TLS, or auto: by the port [default: as a URL's scheme says]
    #[arg(long, value_name = "PROTO", value_parser = starttls_names(), help_heading = "TLS")]
    starttls: Option<String>,

    /// Do not ask servers that tlsweep cannot speak to what they speak
    #[arg(long, help_heading = "TLS")]
    no_legacy: bool,

    /// Protocol version to offer [default: both]
    #[arg(long = "tls", value_name = "VERSION", value_enum, help_heading = "TLS")]
    tls_version: Option<Version>,

    /// Key-exchange groups to offer, in order, as X25519MLKEM768,P-256
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = group, help_heading = "TLS")]
    groups: Vec<u16>,

    /// Find out everything that each server speaks: versions, suites, groups (many dials)
    #[arg(long, help_heading = "TLS")]
    enumerate: bool,

    /// Connections to one server at once while it is enumerated
    #[arg(long, value_name = "N", default_value_t = config::PER_HOST, value_parser = concurrency, help_heading = "TLS")]
    per_host: usize,

    /// Application protocols to offer, in order; - offers none
    #[arg(long, value_name = "LIST", default_value = config::ALPN, allow_hyphen_values = true, help_heading = "TLS")]
    alpn: String,

    /// When to send close_notify: right after the handshake, or when the peer is done
    #[arg(long, value_enum, default_value_t = When::First, help_heading = "TLS")]
    goodbye: When,

    /// Bytes to read off the wire after the handshake, as 4096, 64KiB or 1MiB
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(config::READ_LIMIT), help_heading = "TLS")]
    read_limit: Bytes,

    /// PEM file of roots instead of the built-in ones (Mozilla's); repeatable
    #[arg(long, value_name = "FILE", help_heading = "Certificates")]
    pub(crate) roots: Vec<PathBuf>,

    /// Trust this machine's roots as well
    #[arg(long, help_heading = "Certificates")]
    pub(crate) system_roots: bool,

    /// Facts of every certificate of the chain, not only of the leaf (JSON)
    #[arg(long, help_heading = "Certificates")]
    chain: bool,

    /// The PEM of every certificate whose facts are written (JSON and CSV)
    #[arg(long, help_heading = "Certificates")]
    pem: bool,

    /// Conditions that make the exit code 1 when a target meets one: see the end of --help
    #[arg(long, value_name = "COND[,COND]", help_heading = "Checks")]
    fail_on: Vec<String>,

    /// How to write the records
    #[arg(long, value_parser = PossibleValuesParser::new(FORMATS.iter().map(|(name, _)| *name)), default_value = "text", help_heading = "Output")]
    format: String,

    /// The same as --format json
    #[arg(short, long, conflicts_with = "format", help_heading = "Output")]
    json: bool,

    /// Fields of JSON and CSV, as tls.version,ms.total [default: all]
    #[arg(long, value_name = "LIST", value_parser = Fields::parse, help_heading = "Output")]
    fields: Option<Fields>,

    /// CSV without the line of field names
    #[arg(long, help_heading = "Output")]
    no_header: bool,

    /// Print the JSON Schema of the record and exit
    #[arg(long, help_heading = "Output")]
    pub(crate) print_schema: bool,

    /// Say nothing on stderr but errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Output")]
    pub(crate) quiet: bool,

    /// Say more on stderr; twice for more
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,

    /// Sweep a handful of servers of its own on loopback and exit: no network needed
    #[cfg(feature = "demo")]
    #[arg(long, conflicts_with_all = ["targets", "files"])]
    pub(crate) demo: bool,
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

impl Cli {
    /// The demo's silent server should not make it slow.
    pub(crate) fn with_demo_defaults(mut self, matches: &ArgMatches) -> Self {
        let is_default =
            matches.value_source("handshake_timeout") == Some(ValueSource::DefaultValue);
        if self.is_demo() && is_default {
            self.handshake_timeout = Span(DEMO_HANDSHAKE);
        }
        self
    }

    /// Whether the demo's servers are the targets.
    pub(crate) fn is_demo(&self) -> bool {
        #[cfg(feature = "demo")]
        return self.demo;
        #[cfg(not(feature = "demo"))]
        return false;
    }

    /// The arguments and files to read, in order.
    pub(crate) fn inputs(&mut self) -> Result<(Vec<OsString>, Vec<PathBuf>)> {
        let targets = std::mem::take(&mut self.targets);
        let mut files = std::mem::take(&mut self.files);
        if targets.is_empty() && files.is_empty() {
            if std::io::stdin().is_terminal() {
                bail!(
                    "there are no targets: name some, or a file with -f, or pipe them in (see --help)"
                );
            }
            files.push("-".into());
        }
        Ok((targets, files))
    }

    /// How lines are to look.
    pub(crate) fn layout(&self) -> Layout {
        let terminal = std::io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Layout {
            aligned: terminal,
            coloured: terminal && !no_color,
            no_header: self.no_header,
            fields: self.fields.clone(),
        }
    }

    /// The name of the format.
    pub(crate) fn format(&self) -> &str {
        if self.json { "json" } else { &self.format }
    }

    /// The conditions of `--fail-on`.
    pub(crate) fn checks(&self) -> Result<Checks> {
        Checks::parse(self.fail_on.iter().map(String::as_str)).context("--fail-on")
    }

    /// What to work out of a chain: only what will be looked at.
    fn wanted(&self) -> Wanted {
        let is_wanted = |room: &str| match &self.fields {
            Some(fields) => fields.names().iter().any(|name| name.starts_with(room)),
            None => true,
        };
        Wanted {
            cert: is_wanted("cert.") || !self.fail_on.is_empty(),
            chain: self.chain && is_wanted("chain."),
            trust: is_wanted("trust.") || is_wanted("chain.considered") || !self.fail_on.is_empty(),
            ocsp: is_wanted("ocsp."),
        }
    }

    /// What the sweep is to do.
    ///
    /// # Errors
    /// What no single flag could know: an unusable source address, `--fields` for text.
    pub(crate) fn config(&self) -> Result<Config> {
        if self.fields.is_some() && self.format() == "text" {
            bail!("--fields goes with --format json or csv; the columns of text are fixed");
        }
        if let Some(source) = self.source {
            std::net::UdpSocket::bind((source, 0))
                .with_context(|| format!("cannot dial from --source {source}"))?;
        }
        Ok(Config {
            concurrency: self.concurrency,
            lookups: config::LOOKUPS,
            limits: Limits {
                resolve: self.resolve_timeout.0,
                connect: self.connect_timeout.0,
                starttls: self.starttls_timeout.0,
                handshake: self.handshake_timeout.0,
                read: self.read_timeout.0,
                total: self.timeout.0,
            },
            port: self.port,
            sni: self.sni.clone().unwrap_or_default(),
            offer: Offer {
                versions: match self.tls_version {
                    None => Versions::Both,
                    Some(Version::Tls12) => Versions::Tls12,
                    Some(Version::Tls13) => Versions::Tls13,
                },
                alpn: alpn(&self.alpn)?,
                groups: self.groups.clone(),
            },
            starttls: match self.starttls.as_deref() {
                None => Starttls::Never,
                Some(AUTO) => Starttls::ByPort,
                Some(name) => Protocol::by_name(name).map_or(Starttls::Never, Starttls::Always),
            },
            legacy: !self.no_legacy,
            enumerate: self.enumerate,
            per_host: self.per_host,
            wanted: self.wanted(),
            pem: self.pem,
            goodbye: match self.goodbye {
                When::First => Goodbye::First,
                When::Last => Goodbye::Last,
            },
            read_limit: self.read_limit.0,
            source: self.source,
            resolvers: self.resolvers.clone(),
            ipv6: resolve::has_ipv6(),
            grace: config::GRACE,
        })
    }
}

/// The value of `--starttls` that goes by the port.
const AUTO: &str = "auto";

fn starttls_names() -> PossibleValuesParser {
    let names = PROTOCOLS.iter().map(|protocol| protocol.name);
    PossibleValuesParser::new(names.chain([AUTO]))
}

fn group(name: &str) -> Result<u16> {
    let number = names::group_by_name(name.trim());
    number.filter(|number| known_groups().any(|known| known == *number)).with_context(|| {
        let known: Vec<_> = known_groups().map(names::group).collect();
        format!("not a group that can be offered; these can: {}", known.join(" "))
    })
}

fn alpn(list: &str) -> Result<Vec<Vec<u8>>> {
    if matches!(list, "" | "-") {
        return Ok(Vec::new());
    }
    list.split(',')
        .map(|protocol| match protocol.trim() {
            "" => bail!("--alpn {list}: a protocol is empty; - offers none"),
            long if long.len() > 255 => bail!("--alpn {long}: longer than 255 bytes"),
            protocol => Ok(protocol.as_bytes().to_vec()),
        })
        .collect()
}

fn concurrency(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(n @ 1..=1_000_000) => Ok(n),
        _ => bail!("not a number from 1 to 1000000"),
    }
}

fn name_server(text: &str) -> Result<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 53));
    }
    text.parse().context("not an address; write IP or IP:PORT, [v6]:PORT for IPv6")
}

/// A limit: from a millisecond to a day.
#[derive(Clone, Copy, Debug)]
struct Span(Duration);

impl FromStr for Span {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let span = humantime::parse_duration(text).context("not a time; write 300ms, 5s or 1m")?;
        if !(Duration::from_millis(1)..=config::LIMIT_MAX).contains(&span) {
            bail!("no wait is endless: from 1ms to 1day");
        }
        Ok(Self(span))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug)]
struct Bytes(u64);

/// Units of [`Bytes`], the largest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

impl FromStr for Bytes {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()));
        number
            .parse::<u64>()
            .ok()
            .zip(factor)
            .and_then(|(number, (_, factor))| number.checked_mul(*factor))
            .map(Self)
            .context("not a number of bytes; write 4096, 64KiB or 1MiB")
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        let (name, factor) = exact.unwrap_or(&("", 1));
        write!(f, "{}{name}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn bytes_and_spans_read_what_they_write() {
        for text in ["64KiB", "1MiB", "4097", "0"] {
            assert_eq!(text.parse::<Bytes>().unwrap().to_string(), text);
        }
        for text in ["300ms", "5s", "1m"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["", "KiB", "-1", "1.5MiB", "99999999999999999999", "99999999999GiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        for text in ["", "5", "0s", "2days", "-1s", "1us"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
