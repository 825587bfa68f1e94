//! How many dials, from where, through which name servers.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use clap::Args;
use tlsweep::config;

use super::values::at_once;

#[derive(Args, Debug)]
#[command(next_help_heading = "Dialling")]
pub(crate) struct Dialling {
    /// Targets dialled at once; bent down to what the descriptor limit allows
    #[arg(short, long, value_name = "N", default_value_t = config::CONCURRENCY, value_parser = at_once)]
    pub(super) concurrency: usize,

    /// Name server to ask instead of the system's; port 53 unless given; repeatable
    #[arg(long = "resolver", value_name = "IP[:PORT]", value_parser = name_server)]
    pub(super) resolvers: Vec<SocketAddr>,

    /// Address of this machine to dial from [default: as the routes say]
    #[arg(long, value_name = "ADDR")]
    source: Option<IpAddr>,
}

impl Dialling {
    /// The address to dial from.
    ///
    /// # Errors
    /// It is not one of this machine's.
    pub(super) fn source(&self) -> Result<Option<IpAddr>> {
        if let Some(source) = self.source {
            std::net::UdpSocket::bind((source, 0))
                .with_context(|| format!("cannot dial from --source {source}"))?;
        }
        Ok(self.source)
    }
}

fn name_server(text: &str) -> Result<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 53));
    }
    text.parse().context("not an address; write IP or IP:PORT, [v6]:PORT for IPv6")
}
