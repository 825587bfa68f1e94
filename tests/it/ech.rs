//! `--ech`: HTTPS records, and Encrypted ClientHello, against servers of Go, Caddy, openssl and rustls, and
//! against false ones.

mod records;

use std::fs;
use std::net::SocketAddr;

use rcgen::PKCS_ECDSA_P256_SHA256;
use serde_json::{Value, json};

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::dns::NameServer;
use crate::support::dns::https::{ECH, service};
use crate::support::peer::{Peer, Spec};
use crate::support::programs::{Program, Server, free_port};
use crate::support::script::Step::{Fin, Handshake, Hold, IfHello, Say, UpTo};
use crate::support::script::{SERVER_HELLO, Step};
use crate::support::servers::serve_go_ech;
use crate::support::servers::{Files, serve_openssl};
use crate::support::tls::{Chain, Msg};

const NAME: &str = "www.test";

/// A server of Go that knows ECH, and what it has written.
struct Go {
    server: Server,
    files: Files,
}

impl Go {
    /// None, after `skip`, when Go is not installed.
    fn start(public_name: &str, config_id: u8, offers_configs: bool) -> Option<Self> {
        let go = Program::of_engines("go")?;
        let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
        let folder = files.dir().to_str().unwrap().to_owned();
        let offers = if offers_configs { "yes" } else { "no" };
        let args = [&folder, public_name, &config_id.to_string(), offers];
        Some(Self { server: serve_go_ech(&go, &files, &args), files })
    }

    /// Its configuration, as a record would hold it.
    fn list(&self) -> Vec<u8> {
        fs::read(self.files.dir().join("list")).unwrap()
    }

    /// Whether it could read the inner hello, and which name it saw, of its last handshake.
    fn last_handshake(&self) -> String {
        let log = fs::read_to_string(self.files.dir().join("log")).unwrap();
        log.lines().last().unwrap_or_default().to_owned()
    }
}

/// Sweeps the server as `www.test`, whose HTTPS record has this list of configurations.
fn sweep_with(addr: SocketAddr, list: Option<&[u8]>, args: &[&str]) -> Value {
    let asked = format!("_{}._https.{NAME}", addr.port());
    let record = list.map(|list| (asked.as_str(), service(1, ".", &[(ECH, list)])));
    let names = NameServer::with_https(record);
    let outcome = Tlsweep::json()
        .args(["--ech", "--resolver", &names.address()])
        .args(args)
        .sweep([format!("{NAME}:{}", addr.port())]);
    let record = outcome.only_record().clone();
    assert!(verdict(&record).starts_with("ok"), "{record:#}");
    assert_eq!(record["https"]["name"], asked, "{record:#}");
    assert_eq!(record["https"]["status"], if list.is_some() { "found" } else { "none" });
    record
}

/// What became of the ECH of a server, and how many connections it took.
fn ech(record: &Value) -> (&Value, u64) {
    (&record["ech"], record["attempts"].as_u64().unwrap())
}

#[test]
fn a_server_accepts_the_configuration_of_its_record() {
    let Some(go) = Go::start("public.test", 7, true) else { return };
    let record = sweep_with(go.server.addr, Some(&go.list()), &[]);
    let accepted =
        json!({"status": "accepted", "config": "https_record", "public_name": "public.test"});
    assert_eq!(ech(&record), (&accepted, 2), "{record:#}");
    let records = json!([{"priority": 1, "target": ".", "ech_public_names": ["public.test"]}]);
    assert_eq!(record["https"]["records"], records, "{record:#}");
    assert_eq!(go.last_handshake(), format!("true {NAME}"));
}

/// The server sees its own name in plain text, as from any client without ECH.
#[test]
fn a_server_without_a_record_offers_its_configurations() {
    let Some(go) = Go::start("public.test", 7, true) else { return };
    let record = sweep_with(go.server.addr, None, &[]);
    let offered = json!({
        "status": "rejected_with_retry",
        "config": "made_up",
        "public_name": NAME,
        "retry_configs": [{"config_id": 7, "public_name": "public.test"}],
    });
    assert_eq!(ech(&record), (&offered, 2), "{record:#}");
    assert_eq!(go.last_handshake(), format!("false {NAME}"));
}

#[test]
fn a_stale_configuration_is_rejected_and_another_one_offered() {
    let servers = (Go::start("old.test", 3, true), Go::start("new.test", 4, true));
    let (Some(before), Some(now)) = servers else { return };
    let record = sweep_with(now.server.addr, Some(&before.list()), &[]);
    let offered = json!({
        "status": "rejected_with_retry",
        "config": "https_record",
        "public_name": "old.test",
        "retry_configs": [{"config_id": 4, "public_name": "new.test"}],
    });
    assert_eq!(ech(&record), (&offered, 2), "{record:#}");
    assert_eq!(now.last_handshake(), "false old.test");
}

/// Where the server offers no configuration, `rejected` is said only of one that a DNS record had.
#[test]
fn a_rejection_without_an_offer() {
    let servers = (Go::start("old.test", 3, false), Go::start("new.test", 4, false));
    let (Some(before), Some(now)) = servers else { return };
    let stale = sweep_with(now.server.addr, Some(&before.list()), &[]);
    let rejected =
        json!({"status": "rejected", "config": "https_record", "public_name": "old.test"});
    assert_eq!(ech(&stale), (&rejected, 2), "{stale:#}");
    let made_up = sweep_with(now.server.addr, None, &[]);
    let not_shown = json!({"status": "not_shown", "config": "made_up", "public_name": NAME});
    assert_eq!(ech(&made_up), (&not_shown, 2), "{made_up:#}");
}

/// Caddy publishes its configurations through a DNS provider. Without one it only keeps them on disk.
#[test]
fn caddy_accepts_its_configuration() {
    let Some(caddy) = Program::of_engines("caddy") else { return };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let port = free_port();
    let config = format!(
        "{{\n admin off\n auto_https off\n ech public.test {{\n }}\n}}\n\
         https://{NAME}:{port} {{\n bind 127.0.0.1\n tls {} {}\n respond hello\n}}\n",
        files.chain, files.key
    );
    let config = files.write("Caddyfile", &config);
    let mut command = caddy.command();
    command.env("HOME", files.dir()).env("XDG_DATA_HOME", files.dir());
    command.args(["run", "--config", &config, "--adapter", "caddyfile"]);
    let server = Server::start(command, port);
    let configs = fs::read_dir(files.dir().join("caddy/ech/configs")).unwrap();
    let config = fs::read(configs.last().unwrap().unwrap().path().join("config.bin")).unwrap();
    let length = u16::try_from(config.len()).unwrap().to_be_bytes();
    let record = sweep_with(server.addr, Some(&[&length[..], &config].concat()), &[]);
    let accepted =
        json!({"status": "accepted", "config": "https_record", "public_name": "public.test"});
    assert_eq!(ech(&record), (&accepted, 2), "{record:#}");
}

/// Servers that do not know ECH take no notice of it, which says nothing for certain.
#[test]
fn servers_without_ech() {
    let Some(openssl) = Program::find("openssl") else { return };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let both = serve_openssl(&openssl, &files, &[]);
    let not_shown = json!({"status": "not_shown", "config": "made_up", "public_name": NAME});
    let record = sweep_with(both.addr, None, &[]);
    assert_eq!(ech(&record), (&not_shown, 2), "{record:#}");
    let good = Spec::good().start();
    let record = sweep_with(good.addr, None, &[]);
    assert_eq!(ech(&record), (&not_shown, 2), "{record:#}");
    // ECH needs TLS 1.3.
    let old = serve_openssl(&openssl, &files, &["-tls1_2"]);
    let record = sweep_with(old.addr, None, &[]);
    assert_eq!(record["ech"]["status"], "not_shown", "{record:#}");
    assert!(record["ech"]["error"].as_str().unwrap().contains("protocol_version"), "{record:#}");
    // A record says that such a server knows ECH; it does not.
    if let Some(go) = Go::start("public.test", 7, true) {
        let record = sweep_with(both.addr, Some(&go.list()), &[]);
        assert_eq!(record["ech"]["status"], "rejected", "{record:#}");
    }
}

/// The ordinary connection is what it is without the flag.
#[test]
fn the_record_itself_is_unchanged() {
    let Some(go) = Go::start("public.test", 7, true) else { return };
    let addr = go.server.addr;
    let mut with = sweep_with(addr, Some(&go.list()), &[]);
    let names = NameServer::start();
    let target = format!("{NAME}:{}", addr.port());
    let outcome = Tlsweep::json().args(["--resolver", &names.address()]).sweep([target]);
    let mut without = outcome.only_record().clone();
    assert_eq!((without.get("https"), without.get("ech")), (None, None));
    let own = ["https", "ech", "time", "ms", "attempts", "sent", "received"];
    for record in [&mut with, &mut without] {
        own.iter().for_each(|field| _ = record.as_object_mut().unwrap().remove(*field));
    }
    assert_eq!(with, without);
}

#[test]
fn the_connection_counts_in_the_rate() {
    let peer = Spec::good().start();
    let start = tokio::time::Instant::now();
    sweep_with(peer.addr, None, &["--rate", "2"]);
    assert!(start.elapsed() >= std::time::Duration::from_millis(450), "{:?}", start.elapsed());
    assert_eq!(peer.accepted(), 2);
}

/// Whether a record has a hello with an outer `encrypted_client_hello`, by HKDF-SHA256.
fn has_ech(hello: &[u8]) -> bool {
    hello.windows(7).any(|bytes| bytes[..2] == [0xfe, 0x0d] && bytes[4..] == [0, 0, 1])
}

/// A server that answers ECH with this list of extensions in EncryptedExtensions.
fn answering(extensions: Vec<u8>) -> Peer {
    let say = [
        UpTo(SERVER_HELLO),
        Say(Msg::Extensions(extensions.leak())),
        Say(Msg::Certificate(Chain::Good)),
        Say(Msg::Verify),
        Say(Msg::Finished),
        Hold,
    ];
    Spec::script([IfHello(has_ech, say.to_vec()), Handshake, Hold]).start()
}

/// The extension of a server with this list of configurations.
fn offer(list: &[u8]) -> Vec<u8> {
    let length = u16::try_from(list.len()).unwrap();
    [&[0xfe, 0x0d], &(length + 2).to_be_bytes()[..], &length.to_be_bytes(), list].concat()
}

/// A configuration of RFC 9849 with this public name.
fn configuration(public_name: &[u8]) -> Vec<u8> {
    let key = [&[0, 32][..], &[9; 32]].concat();
    let suites = [0, 4, 0, 1, 0, 1];
    let length = u8::try_from(public_name.len()).unwrap();
    let contents = [&[5, 0, 0x20][..], &key, &suites, &[0, length], public_name, &[0, 0]].concat();
    let length = u16::try_from(contents.len()).unwrap();
    [&[0xfe, 0x0d], &length.to_be_bytes()[..], &contents].concat()
}

#[test]
fn offers_are_told_as_they_were_made() {
    let unknown = [0xfe, 0x0a, 0, 1, 0];
    let list = [&unknown[..], &configuration(b"a.test"), &configuration(b"b.test")].concat();
    let record = sweep_with(answering(offer(&list)).addr, None, &[]);
    let offered = json!([
        {"version": "0xfe0a"},
        {"config_id": 5, "public_name": "a.test"},
        {"config_id": 5, "public_name": "b.test"},
    ]);
    assert_eq!(record["ech"]["status"], "rejected_with_retry", "{record:#}");
    assert_eq!(record["ech"]["retry_configs"], offered, "{record:#}");
    let many = configuration(b"many.test").repeat(40);
    let record = sweep_with(answering(offer(&many)).addr, None, &[]);
    assert_eq!(record["ech"]["retry_configs"].as_array().unwrap().len(), 8, "{record:#}");
    assert_eq!(record["ech"]["retry_configs_count"], 40, "{record:#}");
}

/// What cannot be read is neither an offer nor a rejection.
#[test]
fn offers_that_cannot_be_read_say_nothing() {
    let garbage: [&[u8]; 4] = [
        &[0xff; 40],
        &configuration(b"a.test")[..20],
        &configuration(b"forged\x1b[2J.test"),
        &configuration(&[b'x'; 255]),
    ];
    for list in garbage {
        let record = sweep_with(answering(offer(list)).addr, None, &[]);
        assert_eq!(record["ech"]["status"], "unknown", "{record:#}");
        assert!(record["ech"].get("retry_configs").is_none(), "{record:#}");
        let error = record["ech"]["error"].as_str().unwrap();
        assert!(error.starts_with("handshake/protocol: "), "{record:#}");
    }
}

/// A name of a configuration that no client can use is not offered in the clear.
#[test]
fn records_without_a_usable_configuration() {
    let Some(go) = Go::start("public.test", 7, true) else { return };
    let unknown_kem = {
        let mut configuration = configuration(b"kem.test");
        configuration[5..7].copy_from_slice(&[0x77, 0x77]);
        configuration
    };
    let list_of =
        |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let lists = [list_of(&unknown_kem), list_of(&[0xfe, 0x0a, 0, 0]), vec![0, 0], vec![0xff; 9]];
    for list in lists {
        let record = sweep_with(go.server.addr, Some(&list), &[]);
        assert_eq!(record["ech"]["config"], "made_up", "{record:#}");
        assert_eq!(record["ech"]["status"], "rejected_with_retry", "{record:#}");
    }
    // The second is the first that can be used.
    let both = list_of(&[unknown_kem, go.list()[2..].to_vec()].concat());
    let record = sweep_with(go.server.addr, Some(&both), &[]);
    assert_eq!(record["ech"]["status"], "accepted", "{record:#}");
    assert_eq!(
        record["https"]["records"][0]["ech_public_names"],
        json!(["kem.test", "public.test"])
    );
}

/// Silence never means no.
#[test]
fn what_is_lost_is_unknown_and_what_is_refused_is_not_shown() {
    let on_ech =
        |steps: Vec<Step>| Spec::script([IfHello(has_ech, steps), Handshake, Hold]).start();
    let silent = on_ech(vec![Hold]);
    let record = sweep_with(silent.addr, None, &["--handshake-timeout", "1s"]);
    assert_eq!(record["ech"]["status"], "unknown", "{record:#}");
    let error = record["ech"]["error"].as_str().unwrap();
    assert!(error.starts_with("handshake/timeout: "), "{record:#}");
    // It closes on ECH and never otherwise, which is found out by asking again.
    let closing = on_ech(vec![Fin]);
    let record = sweep_with(closing.addr, None, &[]);
    assert_eq!(record["ech"]["status"], "not_shown", "{record:#}");
    assert!(record["attempts"].as_u64().unwrap() > 2, "{record:#}");
}

/// Without a server name there is nothing to look up, and nothing to encrypt.
#[test]
fn targets_that_cannot_be_asked() {
    let peer = Spec::good().start();
    let names = NameServer::start();
    let sweep = |args: &[&str], target: String| {
        let outcome = Tlsweep::json()
            .args(["--ech", "--resolver", &names.address()])
            .args(args)
            .sweep([target]);
        outcome.only_record().clone()
    };
    let of_address = sweep(&[], peer.target());
    assert!(verdict(&of_address).starts_with("ok"), "{of_address:#}");
    assert_eq!((of_address.get("https"), of_address.get("ech")), (None, None), "{of_address:#}");
    assert_eq!((of_address["attempts"].as_u64(), names.asked().len()), (Some(1), 0));
    // With a name to send, it can.
    let named = sweep(&["--sni", NAME], peer.target());
    assert_eq!(named["ech"]["status"], "not_shown", "{named:#}");
    assert_eq!(named["https"]["status"], "none", "{named:#}");
    // ECH needs TLS 1.3; the records do not.
    let target = || format!("{NAME}:{}", peer.addr.port());
    let old = sweep(&["--tls", "1.2"], target());
    assert_eq!((&old["https"]["status"], old.get("ech")), (&json!("none"), None), "{old:#}");
    // A server that was not reached is not asked.
    let closed = Spec::refusing().start();
    let unreached = sweep(&[], format!("{NAME}:{}", closed.addr.port()));
    assert_eq!((unreached.get("https"), unreached.get("ech")), (None, None), "{unreached:#}");
}
