//! How many dials, from where, through which name servers.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;

use anyhow::{Context, Result};
use clap::Args;
use tlsweep::config;
use tlsweep::dial::resolve::Families;
use tlsweep::pace::limiter::DialLimits;

use super::values::{at_once, per_second};

#[derive(Args, Debug)]
#[command(next_help_heading = "Dialling")]
pub(crate) struct Dialling {
    /// Targets dialled at once; lowered to what the limit of open files allows
    #[arg(short, long, value_name = "N", default_value_t = config::CONCURRENCY, value_parser = at_once)]
    pub(super) concurrency: NonZero<usize>,

    /// Dials a second over the whole sweep, 1 to 1000000 [default: no limit]
    #[arg(long, value_name = "N", value_parser = per_second)]
    rate: Option<NonZero<u32>>,

    /// Dials at once to one address [default: no limit]
    #[arg(long, value_name = "N", value_parser = at_once)]
    per_address: Option<NonZero<usize>>,

    /// Dials at once to one /24 of IPv4 or /48 of IPv6 [default: no limit]
    #[arg(long, value_name = "N", value_parser = at_once)]
    per_prefix: Option<NonZero<usize>>,

    /// Tries after the first when a target or its name server times out, resets, cuts off or is
    /// unreachable; pauses double from 250ms, within --timeout
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100))]
    pub(super) retries: u32,

    /// A line for each address of a name, at most 64, instead of the first that answers
    #[arg(long)]
    pub(super) all_addresses: bool,

    /// Dial IPv4 addresses only, and ask for no others
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Dial IPv6 addresses only, and ask for no others
    #[arg(short = '6', long)]
    ipv6: bool,

    /// Name server to ask instead of the system's; port 53 unless given; repeatable: the next is
    /// asked when one is silent or fails
    #[arg(long = "resolver", value_name = "IP[:PORT]", value_parser = name_server)]
    pub(super) resolvers: Vec<SocketAddr>,

    /// Address of this machine to dial from [default: chosen by the system's routes]
    #[arg(long, value_name = "ADDR")]
    pub(crate) source: Option<IpAddr>,
}

impl Dialling {
    /// How often, and how many at once, networks and hosts may be dialled.
    pub(super) fn limits(&self) -> DialLimits {
        let Self { rate, per_address, per_prefix, .. } = *self;
        DialLimits { rate, per_address, per_prefix }
    }

    /// The addresses that are wanted.
    pub(super) fn families(&self) -> Families {
        match (self.ipv4, self.ipv6) {
            (true, _) => Families::V4,
            (false, true) => Families::V6,
            (false, false) => Families::Both,
        }
    }
}

fn name_server(text: &str) -> Result<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 53));
    }
    text.parse().context("not an address; write IP or IP:PORT, [v6]:PORT for IPv6")
}
