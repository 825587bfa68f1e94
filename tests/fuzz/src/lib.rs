//! What the fuzz targets share.

pub mod cost;
pub mod family;
pub mod forge;
pub mod keys;
pub mod oracle;
pub mod peer;
pub mod pki;
pub mod script;
pub mod staple;
pub mod text;
