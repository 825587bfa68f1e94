//! What the tests stand on: hostile and well-behaved servers, and a runner for the binary.

pub(crate) mod certs;
pub(crate) mod cmd;
pub(crate) mod dns;
pub(crate) mod draft;
pub(crate) mod exposition;
pub(crate) mod keys;
pub(crate) mod ocsp;
pub(crate) mod odd;
pub(crate) mod openssl;
pub(crate) mod peer;
pub(crate) mod pki;
pub(crate) mod programs;
pub(crate) mod random;
pub(crate) mod script;
pub(crate) mod served;
pub(crate) mod servers;
pub(crate) mod tds;
pub(crate) mod tls;
pub(crate) mod weak;
pub(crate) mod x509;
