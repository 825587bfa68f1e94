//! What the fuzz targets share.

pub mod peer;
pub mod pki;
pub mod script;
pub mod text;
