//! What the flags mean for the sweep.

use std::sync::Arc;

use anyhow::Result;
use tlsweep::cert::Wanted;
use tlsweep::config::{self, Config};
use tlsweep::feed::exclude::Exclusions;

use super::{Cli, REPORT};

impl Cli {
    /// What to work out of a chain: only what a field, a condition or a count needs.
    fn wanted(&self, format: &str) -> Wanted {
        let is_wanted = |room: &str| match &self.output.fields {
            Some(fields) => fields.names().iter().any(|name| name.starts_with(room)),
            None => true,
        };
        let is_checked = !self.certificates.fail_on.is_empty() || !self.targets.baseline.is_empty();
        let is_reported =
            self.operator.report.is_some() || self.operator.metrics_targets || format == REPORT;
        let is_counted = self.operator.counts_verdicts() || is_reported;
        Wanted {
            cert: is_wanted("cert.") || is_checked || is_reported,
            chain: format == "detail" || self.certificates.chain && is_wanted("chain."),
            trust: is_wanted("trust.")
                || is_wanted("revocation.")
                || is_wanted("chain.considered")
                || is_checked
                || is_counted,
            ocsp: is_wanted("ocsp."),
            pem: self.certificates.pem,
        }
    }

    /// What the sweep is to do, except for the targets of `exclude`.
    ///
    /// # Errors
    /// A combination of flags that is not possible, such as `--fields` with text.
    pub(crate) fn config(&self, exclude: Exclusions) -> Result<Config> {
        let format = self.output.format(self.targets.is_one())?;
        Ok(Config {
            concurrency: self.dialling.concurrency,
            lookups: config::LOOKUPS,
            limits: self.deadlines.limits(),
            port: self.targets.port,
            exclude,
            sni: self.targets.sni.clone().unwrap_or_default(),
            offer: self.tls.offer()?,
            starttls: self.tls.starttls(),
            legacy: !self.tls.no_legacy,
            follow_ups: self.tls.follow_ups.0.clone(),
            per_host: self.tls.per_host,
            standbys: self.dialling.concurrency.get(),
            crls: Arc::default(),
            crlite: Arc::default(),
            wanted: self.wanted(format),
            goodbye: self.tls.goodbye(),
            read_limit: self.tls.read_limit.0,
            source: self.dialling.source,
            dial_limits: self.dialling.limits(),
            retries: self.dialling.retries,
            all_addresses: self.dialling.all_addresses,
            resolvers: self.dialling.resolvers.clone(),
            families: self.dialling.families(),
            grace: config::GRACE,
        })
    }
}
