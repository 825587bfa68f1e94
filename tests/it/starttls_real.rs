//! Servers of other makers that turn from plain text to TLS: each with TLS, and without.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use rcgen::PKCS_ECDSA_P256_SHA256;
use serde_json::Value;

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::programs::{Program, Server, free_port, shown, skip};
use crate::support::servers::Files;

/// A server that has been started, and what it listens to.
struct Started {
    _server: Server,
    endpoints: Vec<Endpoint>,
}

/// A scheme, a port, and what the greeting must hold.
type Endpoint = (&'static str, u16, Option<&'static str>);

impl Started {
    fn new(server: Server, endpoints: impl Into<Vec<Endpoint>>) -> Option<Self> {
        Some(Self { _server: server, endpoints: endpoints.into() })
    }

    fn sweep(&self, files: &Files) -> Vec<Value> {
        let targets =
            self.endpoints.iter().map(|(scheme, port, _)| format!("{scheme}://localhost:{port}"));
        let outcome = Tlsweep::json().args(["-c", "1", "--roots", &files.root()]).sweep(targets);
        outcome.assert_complete();
        for ((scheme, _, banner), record) in self.endpoints.iter().zip(&outcome.records) {
            assert_eq!(record["starttls"]["protocol"], *scheme, "{record:#}");
            let told = record["starttls"]["banner"].as_str();
            match banner {
                Some(word) => assert!(told.is_some_and(|told| told.contains(word)), "{record:#}"),
                None => assert_eq!(told, None, "{record:#}"),
            }
        }
        outcome.records
    }
}

/// With TLS the server speaks it and is trusted; without, it says so in its own way.
fn check(start: impl Fn(&Files, bool) -> Option<Started>) {
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let Some(with_tls) = start(&files, true) else {
        return;
    };
    for record in with_tls.sweep(&files) {
        let verdict = verdict(&record);
        assert!(verdict.starts_with("ok "), "{verdict}: {record:#}");
        assert_eq!(record["tls"]["version"], "TLSv1.3", "{record:#}");
        assert_eq!(record["tls"]["signature_verified"], true, "{record:#}");
        assert_eq!(record["trust"]["verdict"], "trusted", "{record:#}");
        assert_eq!(record["attempts"], 1, "{record:#}");
    }
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let without = start(&files, false).expect("it was there just now");
    for record in without.sweep(&files) {
        assert_eq!(verdict(&record), "starttls/rejected", "{record:#}");
        assert_eq!(record["attempts"], 1, "{record:#}");
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The number of a user that a package has made.
fn user(name: &str) -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let mut users = users.lines().map(|line| line.split(':'));
    let user = users.find(|user| user.clone().next() == Some(name)).unwrap();
    user.clone().nth(2).unwrap().parse().unwrap()
}

#[test]
fn postfix() {
    check(|files, tls| serve_postfix(files, if tls { "may" } else { "none" }, ""));
}

#[test]
fn postfix_that_speaks_tls_1_0_only() {
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let old = "smtpd_tls_protocols = TLSv1
         smtpd_tls_ciphers = medium
         tls_medium_cipherlist = ALL:@SECLEVEL=0";
    let Some(postfix) = serve_postfix(&files, "may", old) else {
        return;
    };
    let record = &postfix.sweep(&files)[0];
    assert!(verdict(record).starts_with("handshake/unsupported"), "{record:#}");
    assert_eq!(record["tls"]["version"], "TLSv1.0", "{record:#}");
    assert_eq!(record["tls"]["cipher"], "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "{record:#}");
    assert_eq!(record["tls"]["legacy"], true, "{record:#}");
    // Whoever answers a hello of ours has not shown that it has the certificate's key.
    assert_eq!(record["trust"]["verdict"], "unproven", "{record:#}");
    assert_eq!(record["attempts"], 2, "{record:#}");
}

fn serve_postfix(files: &Files, level: &str, also: &str) -> Option<Started> {
    let master = Program::find("/usr/lib/postfix/sbin/master")?;
    if !is_root() {
        skip("postfix starts as root only");
        return None;
    }
    let port = free_port();
    let conf = files.folder("conf");
    let data = files.folder("data");
    let [private, public] = ["queue/private", "queue/public"].map(|name| files.folder(name));
    for own in [&data, &private, &public] {
        chown(own, Some(user("postfix")), None).unwrap();
    }
    files.folder("queue/pid");
    let dir = files.dir().display();
    let main = format!(
        "compatibility_level = 3.6
         queue_directory = {dir}/queue
         data_directory = {data}
         maillog_file = /dev/stdout
         inet_interfaces = 127.0.0.1
         inet_protocols = ipv4
         myhostname = localhost
         alias_maps =
         smtpd_tls_security_level = {level}
         smtpd_tls_chain_files = {} {}
         {also}",
        files.key, files.chain,
    );
    files.write("conf/main.cf", &without_indent(&main));
    let master_cf = format!(
        "127.0.0.1:{port} inet n - n - - smtpd
         tlsmgr unix - - n 1000? 1 tlsmgr
         anvil unix - - n - 1 anvil
         postlog unix-dgram n - n - 1 postlogd
         proxymap unix - - n - - proxymap
         rewrite unix - - n - - trivial-rewrite"
    );
    files.write("conf/master.cf", &without_indent(&master_cf));
    let server = master.serve(port, ["-c", &conf, "-d"]);
    Started::new(server, [("smtp", port, Some("ESMTP Postfix"))])
}

/// For Postfix, an indented line is the rest of the line before it.
fn without_indent(text: &str) -> String {
    text.lines().flat_map(|line| [line.trim_start(), "\n"]).collect()
}

#[test]
fn dovecot() {
    check(serve_dovecot);
}

fn serve_dovecot(files: &Files, tls: bool) -> Option<Started> {
    let dovecot = Program::find("dovecot")?;
    for module in ["imap", "pop3", "lmtp", "managesieve"] {
        Program::find(&format!("/usr/lib/dovecot/{module}"))?;
    }
    if !is_root() {
        skip("this dovecot.conf is for root");
        return None;
    }
    let dir = files.dir().display();
    let ports = [free_port(), free_port(), free_port(), free_port()];
    let listeners: String = ["imap-login", "pop3-login", "lmtp", "managesieve-login"]
        .iter()
        .zip(["imap", "pop3", "lmtp", "sieve"])
        .zip(ports)
        .map(|((service, listener), port)| {
            format!(
                "service {service} {{
                     chroot =
                     inet_listener {listener} {{
                         address = 127.0.0.1
                         port = {port}
                     }}
                     inet_listener {listener}s {{
                         port = 0
                     }}
                 }}\n"
            )
        })
        .collect();
    let config = format!(
        "protocols = imap pop3 lmtp sieve
         base_dir = {dir}/run
         state_dir = {dir}/state
         log_path = /dev/null
         default_internal_user = nobody
         default_internal_group = nogroup
         default_login_user = nobody
         ssl = {}
         ssl_cert = <{}
         ssl_key = <{}
         passdb {{
             driver = static
             args = nopassword=y
         }}
         userdb {{
             driver = static
             args = uid=nobody gid=nogroup home={dir}
         }}
         {listeners}
         service anvil {{
             chroot =
         }}\n",
        if tls { "yes" } else { "no" },
        files.chain,
        files.key,
    );
    let config = files.write("dovecot.conf", &config);
    let mut server = dovecot.serve(ports[0], ["-F", "-c", &config]);
    ports.iter().for_each(|port| server.wait_for(*port, "dovecot"));
    let [imap, pop3, lmtp, sieve] = ports;
    let endpoints = [
        ("imap", imap, Some("Dovecot")),
        ("pop3", pop3, Some("+OK Dovecot")),
        ("lmtp", lmtp, Some("Dovecot")),
        ("sieve", sieve, Some("IMPLEMENTATION")),
    ];
    Started::new(server, endpoints)
}

#[test]
fn vsftpd() {
    check(|files, tls| {
        let vsftpd = Program::find("vsftpd")?;
        let port = free_port();
        let empty = files.folder("empty");
        let config = format!(
            "listen=YES\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\n\
             anon_root={empty}\nsecure_chroot_dir={empty}\nrun_as_launching_user=YES\n\
             ssl_enable={}\nallow_anon_ssl=YES\n\
             rsa_cert_file={}\nrsa_private_key_file={}\n",
            if tls { "YES" } else { "NO" },
            files.chain,
            files.key,
        );
        let server = vsftpd.serve(port, [files.write("vsftpd.conf", &config)]);
        Started::new(server, [("ftp", port, Some("vsFTPd"))])
    });
}

#[test]
fn slapd() {
    check(|files, tls| {
        let slapd = Program::find("slapd")?;
        let port = free_port();
        let certificate =
            format!("TLSCertificateFile {}\nTLSCertificateKeyFile {}\n", files.chain, files.key);
        let config = files.write("slapd.conf", if tls { &certificate } else { "" });
        let url = format!("ldap://127.0.0.1:{port}");
        let server = slapd.serve(port, ["-d", "0", "-h", &url, "-f", &config]);
        Started::new(server, [("ldap", port, None)])
    });
}

#[test]
fn postgresql() {
    check(|files, tls| {
        let Some(bin) = newest_postgresql() else {
            skip("postgresql is not installed");
            return None;
        };
        let data = files.folder("data");
        let as_user = |program: &str| {
            let mut command = Program::find(bin.join(program).to_str().unwrap())?.command();
            if is_root() {
                // It will not run as root.
                [files.dir().to_str().unwrap(), &data, &files.key]
                    .iter()
                    .for_each(|path| chown(path, Some(NOBODY), None).unwrap());
                command.uid(NOBODY);
            }
            command.current_dir(files.dir());
            Some(command)
        };
        let made = as_user("initdb")?.args(["-D", &data, "-A", "trust", "--no-sync"]).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", shown(&made));
        let port = free_port();
        let mut command = as_user("postgres")?;
        command.args(["-D", &data, "-h", "127.0.0.1", "-F", "-p", &port.to_string()]);
        command.args(["-k", files.dir().to_str().unwrap()]);
        command.args(["-c", if tls { "ssl=on" } else { "ssl=off" }]);
        command.args(["-c", &format!("ssl_cert_file={}", files.chain)]);
        command.args(["-c", &format!("ssl_key_file={}", files.key)]);
        Started::new(Server::start(command, port), [("postgres", port, None)])
    });
}

const NOBODY: u32 = 65534;

fn newest_postgresql() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let versions = versions.map(|version| version.unwrap().path().join("bin"));
    versions.filter(|bin| bin.join("postgres").is_file()).max()
}

#[test]
fn mariadb() {
    check(|files, tls| {
        let install = Program::find("mariadb-install-db")?;
        let mariadbd = Program::find("mariadbd")?;
        let data = format!("--datadir={}", files.folder("data"));
        let user: &[&str] = if is_root() { &["--user=root"] } else { &[] };
        let common = [&["--no-defaults", &data], user].concat();
        let flags = ["--auth-root-authentication-method=normal", "--skip-test-db"];
        let made = install.run([&common, &flags[..]].concat());
        assert!(made.status.success(), "{}", shown(&made));
        let port = free_port();
        let dir = files.dir().display();
        let mut command = mariadbd.command();
        command.args(common).args(["--bind-address=127.0.0.1"]);
        command.args([format!("--port={port}"), format!("--socket={dir}/socket")]);
        command.arg(format!("--pid-file={dir}/pid"));
        if tls {
            command
                .args([format!("--ssl-cert={}", files.chain), format!("--ssl-key={}", files.key)]);
        }
        Started::new(Server::start(command, port), [("mysql", port, Some("MariaDB"))])
    });
}

#[test]
fn prosody() {
    check(|files, tls| {
        let prosody = Program::find("prosody")?;
        let [client, server] = [free_port(), free_port()];
        let dir = files.dir().display();
        let data = files.folder("data");
        let config = format!(
            "run_as_root = true
             pidfile = '{dir}/pid'
             data_path = '{data}'
             certificates = '{data}'
             interfaces = {{ '127.0.0.1' }}
             c2s_ports = {{ {client} }}
             s2s_ports = {{ {server} }}
             s2s_direct_tls_ports = {{}}
             modules_enabled = {{ 'saslauth', 'dialback'{} }}
             log = {{ error = '*console' }}
             ssl = {{ certificate = '{}'; key = '{}' }}
             VirtualHost 'localhost'\n",
            if tls { ", 'tls'" } else { "" },
            files.chain,
            files.key,
        );
        let config = files.write("prosody.cfg.lua", &config);
        let mut running = prosody.serve(client, ["-F", "--config", &config]);
        running.wait_for(server, "prosody");
        Started::new(running, [("xmpp", client, None), ("xmpp-server", server, None)])
    });
}

#[test]
fn inn() {
    check(|files, tls| {
        let nnrpd = Program::find("/usr/lib/news/bin/nnrpd")?;
        let overchan = Program::find("/usr/lib/news/bin/overchan")?;
        if !is_root() {
            skip("nnrpd wants to become another user");
            return None;
        }
        let port = free_port();
        let [db, etc, run, log, spool] =
            ["db", "etc", "run", "log", "spool"].map(|name| files.folder(name));
        files.folder("spool/overview");
        let certificate = format!("tlscertfile: {}\ntlskeyfile: {}\n", files.chain, files.key);
        let config = format!(
            "mta: \"/bin/true %s\"\nhismethod: hisv6\novmethod: tradindexed\n\
             domain: localhost.localdomain\npathhost: localhost\npathnews: /usr/lib/news\n\
             pathdb: {db}\npathetc: {etc}\npathrun: {run}\npathlog: {log}\npathspool: {spool}\n\
             runasuser: root\nrunasgroup: root\nnnrpdloadlimit: 0\n{}",
            if tls { &certificate } else { "" },
        );
        let config = files.write("etc/inn.conf", &config);
        files.write("etc/storage.conf", "method trash {\n newsgroups: *\n class: 0\n}\n");
        files.write("db/active", "");
        files.write("db/newsgroups", "");
        files.write("db/history", "");
        let readers = "auth all {\n hosts: *\n default: <all>\n}\n\
             access all {\n users: *\n newsgroups: *\n}\n";
        let readers = files.write("etc/readers.conf", readers);
        // It makes the overview, without which nobody is served.
        let made = overchan.command().env("INNCONF", &config).stdin(Stdio::null()).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", shown(&made));
        let mut command = nnrpd.command();
        command.env("INNCONF", config);
        command.args(["-D", "-f", "-b", "127.0.0.1", "-c", &readers, "-p", &port.to_string()]);
        Started::new(Server::start(command, port), [("nntp", port, Some("InterNetNews"))])
    });
}

#[test]
fn inspircd() {
    check(|files, tls| {
        let inspircd = Program::find("inspircd")?;
        let port = free_port();
        let dir = files.dir().display();
        let starttls = format!(
            "<module name='ssl_gnutls'><module name='starttls'><starttls sslprofile='Clients'>
             <sslprofile name='Clients' provider='gnutls' certfile='{}' keyfile='{}'>",
            files.chain, files.key,
        );
        let config = format!(
            "<server name='irc.test' description='test' network='Test' id='001'>
             <admin name='admin' nick='admin' email='admin@irc.test'>
             <bind address='127.0.0.1' port='{port}' type='clients'>
             <connect allow='*' resolvehostnames='no'>
             <files motd='' rules=''>
             <module name='cap'>{}
             <path datadir='{dir}' logdir='{dir}' runtimedir='{dir}'>
             <pid file='{dir}/pid'>\n",
            if tls { &starttls } else { "" },
        );
        let config = files.write("inspircd.conf", &config.replace('\'', "\""));
        let as_root: &[&str] = if is_root() { &["--runasroot"] } else { &[] };
        let server =
            inspircd.serve(port, [&["--nofork", "--nopid", "--config", &config], as_root].concat());
        Started::new(server, [("irc", port, Some("irc.test"))])
    });
}

#[test]
fn xrdp() {
    check(|files, tls| {
        let xrdp = Program::find("xrdp")?;
        let port = free_port();
        let config = format!(
            "[Globals]\nini_version=1\nfork=false\nport=tcp://127.0.0.1:{port}\n\
             security_layer={}\ncertificate={}\nkey_file={}\nssl_protocols=TLSv1.2, TLSv1.3\n\
             [Logging]\nLogFile={}/log\nLogLevel=ERROR\nEnableSyslog=false\n\
             [Xorg]\nname=Xorg\nlib=libxup.so\n",
            if tls { "negotiate" } else { "rdp" },
            files.chain,
            files.key,
            files.dir().display(),
        );
        let config = files.write("xrdp.ini", &config);
        let server = xrdp.serve(port, ["--nodaemon", "--config", &config]);
        Started::new(server, [("rdp", port, None)])
    });
}
