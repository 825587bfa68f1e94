//! From a target to the addresses that may be dialled, and to its HTTPS records.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls_pki_types::DnsName;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::plan::pause;
use super::{Asked, Prober, Visit, narration};
use crate::dial::resolve::Https;
use crate::failure::Failure;
use crate::feed::target::Host;

impl Prober {
    /// Puts the addresses that may be dialled into the plan.
    ///
    /// # Errors
    /// The lookup failed, or nothing may be dialled.
    pub(super) async fn locate(&self, asked: &Asked, visit: &mut Visit<'_>) -> Result<(), Failure> {
        let host = &asked.target.host;
        self.config.exclude.admit(host)?;
        let addresses = match host {
            Host::Address(address) => vec![self.config.families.admit(*address)?],
            Host::Name(name) => Box::pin(self.find(name, visit)).await?,
        };
        narration::found(asked, &addresses, visit);
        let port = asked.port;
        visit.plan.addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        Ok(())
    }

    /// The addresses of a name that may be dialled, after as many lookups as it takes.
    async fn find(
        &self,
        name: &DnsName<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<Vec<IpAddr>, Failure> {
        let mut retries = 0;
        loop {
            let result = self.look_up(name, visit).await;
            let Err(failure) = &result else {
                return result;
            };
            let Some(pause) = pause(failure, retries, self.config.retries) else {
                return result;
            };
            let pause = pause.mul_f64(0.5 + fastrand::f64());
            if !visit.context.deadline.pause(pause).await {
                return result;
            }
            retries += 1;
        }
    }

    /// One lookup.
    async fn look_up(
        &self,
        name: &DnsName<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<Vec<IpAddr>, Failure> {
        let (lookup, place) = self.wait_for_lookup(visit).await;
        let begun = Instant::now();
        let addresses = self.resolver.lookup(name, &visit.context.deadline).await;
        drop(lookup);
        visit.resolve = Some(begun.elapsed());
        // A name without addresses is not dialled: it gives up its dial permit and does not take it
        // back.
        if addresses.is_ok() {
            visit.wait_for_dial(place).await;
        }
        addresses
    }

    /// The HTTPS records of the server name that is sent; none where there is no name, or where the protocol
    /// begins in plain text and so is not HTTPS.
    pub(super) async fn look_up_https(&self, visit: &mut Visit<'_>) -> Option<Https> {
        let name = visit.context.identity.sent.as_ref()?;
        if visit.context.starttls.is_some() {
            return None;
        }
        let (lookup, place) = self.wait_for_lookup(visit).await;
        let https = self.resolver.https(name, visit.asked.port, &visit.context.deadline).await;
        drop(lookup);
        visit.wait_for_dial(place).await;
        Some(https)
    }

    /// Waits for a place among the lookups, without the dial permit: whoever has a place there may be waiting
    /// for one. The target's clock stands still meanwhile. The lookup counts until the `Arc` is
    /// dropped.
    async fn wait_for_lookup(
        &self,
        visit: &mut Visit<'_>,
    ) -> (Arc<()>, Option<SemaphorePermit<'_>>) {
        visit.permit.release_dial();
        let begun = Instant::now();
        let lookup = Arc::clone(&self.lookups);
        let place = self.resolver.slot().await;
        visit.context.stand_still(begun.elapsed());
        (lookup, place)
    }
}

impl Visit<'_> {
    /// Takes the dial permit back while the target's clock stands still. The place among the lookups is kept
    /// until then. Otherwise names that are looked up but not yet dialled would pile up.
    async fn wait_for_dial(&mut self, place: Option<SemaphorePermit<'_>>) {
        let begun = Instant::now();
        self.permit.reacquire_dial().await;
        drop(place);
        self.context.stand_still(begun.elapsed());
    }
}
