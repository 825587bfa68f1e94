//! Problems and failures in words: what each means, and what to do about it.

/// What a problem of the verdict means, and the remedy.
pub(super) const PROBLEMS: [(&str, &str, &str); 21] = [
    (
        "revoked",
        "a certificate of the path was revoked by its issuer",
        "replace certificate and key",
    ),
    ("bad_encoding", "a certificate is not well-formed DER", "issue it again with another tool"),
    ("unsupported_version", "a certificate is not X.509 version 3", "issue it again"),
    (
        "critical_extension",
        "a certificate has a critical extension that clients do not know",
        "issue it again without that extension",
    ),
    (
        "bad_signature",
        "a signature does not hold under the issuer's key",
        "send the intermediate certificates that belong to this leaf",
    ),
    (
        "unsupported_signature",
        "a signature is by a key or an algorithm that cannot be checked",
        "issue it again with RSA up to 8,192 bits, ECDSA or Ed25519",
    ),
    (
        "self_signed",
        "the certificate is signed by its own key",
        "trust it by --roots, or get one from a CA",
    ),
    (
        "unknown_issuer",
        "no path leads from it to a root that is trusted here",
        "send the missing intermediate certificates, or name a private CA with --roots",
    ),
    (
        "issuer_not_ca",
        "an issuer is not allowed to sign certificates",
        "send the right intermediate",
    ),
    ("ca_as_leaf", "the certificate is that of a CA", "use a certificate for servers"),
    ("path_length", "more CAs follow each other than one of them allows", "use another issuer"),
    ("name_constraint", "a name is outside of what a CA may certify", "use another issuer"),
    ("bad_purpose", "a certificate is not meant for TLS servers", "issue it for serverAuth"),
    ("chain_too_long", "more CAs follow each other than clients accept", "send a shorter chain"),
    (
        "name_mismatch",
        "the certificate is not for the name that was asked for",
        "add the name to the certificate, or ask for another one as TARGET,NAME",
    ),
    (
        "unproven",
        "the server did not prove that the certificate's key is its own",
        "use a key and a version of TLS that can be checked",
    ),
    ("weak_signature", "a signature rests on SHA-1 or MD5", "issue it again with SHA-256"),
    ("weak_key", "an RSA key has fewer than 2,048 bits", "make a new key"),
    ("expired", "the validity of a certificate has ended", "renew it now"),
    ("not_yet_valid", "the validity of a certificate has not begun", "check the clocks"),
    (
        "validity_too_long",
        "the certificate is valid for longer than browsers accept",
        "issue it for a shorter time",
    ),
];

/// The likely cause of a failure, by `stage/kind`.
pub(super) const CAUSES: [(&str, &str); 22] = [
    ("input/invalid_target", "the line is not a target; see the reason"),
    ("input/excluded", "an exclude list or a choice of address families leaves it out"),
    ("resolve/not_found", "the name is misspelt, or its record is gone"),
    ("resolve/timeout", "the name servers do not answer; try --resolver IP"),
    ("resolve/server_failure", "the name servers of that domain are broken, or DNSSEC fails"),
    ("connect/refused", "the server is up, but nothing listens on that port"),
    ("connect/timeout", "a firewall drops the packets, or the machine is down"),
    ("connect/unreachable", "there is no route; for IPv6, is this machine connected by it?"),
    ("connect/reset", "a firewall or the server's limits reset the connection"),
    ("starttls/timeout", "it may be another protocol, or TLS from the first byte"),
    ("starttls/rejected", "no certificate is set up there, or this address may not use it"),
    ("starttls/eof", "it closed before the upgrade; it may refuse this address"),
    ("starttls/protocol", "another protocol is spoken on that port"),
    ("handshake/alert", "the server refuses what was offered; see --enumerate, --sni and --tls"),
    ("handshake/not_tls", "that port is for something other than TLS; see --starttls"),
    (
        "handshake/eof",
        "it closed before its hello; a wrong server name, or a proxy without a server",
    ),
    ("handshake/reset", "a firewall, or a server that does not like the hello; try --groups P-256"),
    ("handshake/timeout", "the port is open, but nothing answers; is it for another protocol?"),
    ("handshake/protocol", "the server breaks TLS, or something in between does"),
    ("handshake/bad_signature", "the server does not have the key of its certificate"),
    ("handshake/unsupported", "the server speaks only what is obsolete; see --enumerate"),
    ("local/resource", "this machine is short of descriptors, ports or memory; lower -c"),
];
