//! Configurations of rustls.

use std::sync::Arc;

use rustls::client::{EchConfig, EchMode, Resumption};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::{ClientConfig, ConfigBuilder, SupportedCipherSuite, WantsVerifier, WantsVersions};

use super::{SUITES, Versions};
use crate::tls::recorder::{NoClock, Recorder};
use crate::tls::schemes::can_sign_for;

/// What offers every suite.
pub(super) fn client_config(
    versions: Versions,
    kx_groups: &[&'static dyn SupportedKxGroup],
    recorder: Arc<Recorder>,
) -> Result<ClientConfig, rustls::Error> {
    config_with(SUITES.as_slice(), versions, kx_groups, recorder)
}

/// What offers these suites.
pub(super) fn config_with(
    suites: &[SupportedCipherSuite],
    versions: Versions,
    kx_groups: &[&'static dyn SupportedKxGroup],
    recorder: Arc<Recorder>,
) -> Result<ClientConfig, rustls::Error> {
    let versions: &[_] = match versions {
        Versions::Both => &[&rustls::version::TLS13, &rustls::version::TLS12],
        Versions::Tls12 => &[&rustls::version::TLS12],
        Versions::Tls13 => &[&rustls::version::TLS13],
    };
    let builder = builder(suites, kx_groups, &recorder).with_protocol_versions(versions)?;
    Ok(finish(builder, recorder))
}

/// What encrypts its hello, which is one of TLS 1.3 alone.
pub(super) fn ech_config(
    ech: EchConfig,
    kx_groups: &[&'static dyn SupportedKxGroup],
    recorder: Arc<Recorder>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = builder(SUITES.as_slice(), kx_groups, &recorder);
    Ok(finish(builder.with_ech(EchMode::Enable(ech))?, recorder))
}

fn builder(
    suites: &[SupportedCipherSuite],
    kx_groups: &[&'static dyn SupportedKxGroup],
    recorder: &Recorder,
) -> ConfigBuilder<ClientConfig, WantsVersions> {
    let suites = suites.iter().filter(|suite| can_sign_for(suite, recorder.schemes()));
    let provider = Arc::new(CryptoProvider {
        cipher_suites: suites.copied().collect(),
        kx_groups: kx_groups.to_vec(),
        ..aws_lc_rs::default_provider()
    });
    ClientConfig::builder_with_details(provider, Arc::new(NoClock))
}

fn finish(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    recorder: Arc<Recorder>,
) -> ClientConfig {
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(recorder.clone())
        .with_client_cert_resolver(recorder);
    config.resumption = Resumption::disabled();
    config
}
