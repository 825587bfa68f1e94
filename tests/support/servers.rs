//! Servers of other makers, each with a certificate of ours.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use super::pki::{CA, Identity};
use super::programs::{Program, Server, free_port};

/// A certificate in files, in a folder that has room for more.
pub(crate) struct Files {
    dir: TempDir,
    pub(crate) leaf: CertificateDer<'static>,
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Files {
    pub(crate) fn of(identity: &Identity) -> Self {
        // Some servers give up the right to read in other people's folders.
        let open = Permissions::from_mode(0o755);
        let dir = tempfile::Builder::new().permissions(open).tempdir().unwrap();
        let (chain, key) = identity.write_to(&dir, "leaf");
        // Some want nobody else to read their key.
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
        Self { leaf: identity.chain[0].clone(), chain: text(chain), key: text(key), dir }
    }

    pub(crate) fn with_key(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        Self::of(&CA.issue_for(["localhost"], KeyPair::generate_for(algorithm).unwrap()))
    }

    pub(crate) fn root(&self) -> String {
        CA.write_to(&self.dir).to_str().unwrap().to_owned()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A new folder in the folder.
    pub(crate) fn folder(&self, name: &str) -> String {
        let path = self.dir().join(name);
        fs::create_dir_all(&path).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A new file in the folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

pub(crate) fn serve_nginx(nginx: &Program, files: &Files, protocols: &str) -> Server {
    let port = free_port();
    let dir = files.dir().display();
    let config = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log stderr;
         events {{ worker_connections 1024; }}
         http {{
             access_log off;
             client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
             uwsgi_temp_path {dir}; scgi_temp_path {dir};
             server {{
                 listen 0.0.0.0:{port} ssl http2 backlog=4096 bind so_keepalive=off;
                 ssl_certificate {}; ssl_certificate_key {}; {protocols}
             }}
         }}",
        files.chain, files.key,
    );
    let path = files.write("nginx.conf", &config);
    nginx.serve(port, ["-c", &path, "-p", files.dir().to_str().unwrap()])
}

/// nginx as a mail proxy, where it has that module: with TLS from the first byte, or after STARTTLS.
pub(crate) fn serve_nginx_mail(
    nginx: &Program,
    files: &Files,
    protocol: &str,
    is_implicit: bool,
) -> Option<Server> {
    let module = "/usr/lib/nginx/modules/ngx_mail_module.so";
    if !Path::new(module).exists() {
        return None;
    }
    let port = free_port();
    let dir = files.dir().display();
    let (ssl, starttls) = if is_implicit { (" ssl", "") } else { ("", "starttls on;") };
    let config = format!(
        "load_module {module};
         daemon off; master_process off; pid {dir}/pid; error_log stderr;
         events {{ worker_connections 64; }}
         mail {{
             server_name localhost;
             auth_http 127.0.0.1:1/;
             server {{
                 listen 127.0.0.1:{port}{ssl}; protocol {protocol}; {starttls}
                 ssl_certificate {}; ssl_certificate_key {};
             }}
         }}",
        files.chain, files.key,
    );
    let path = files.write("nginx.conf", &config);
    Some(nginx.serve(port, ["-c", &path, "-p", files.dir().to_str().unwrap()]))
}

pub(crate) fn serve_openssl(openssl: &Program, files: &Files, flags: &[&str]) -> Server {
    serve_openssl_by(openssl.command(), files, flags)
}

/// What its flags allow, its makers' own configuration must not forbid.
pub(crate) fn serve_weak_openssl(openssl: &Program, files: &Files, flags: &[&str]) -> Server {
    let anything = "openssl_conf = conf\n[conf]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n\
        [all]\nMinProtocol = TLSv1\nCipherString = ALL:COMPLEMENTOFALL:@SECLEVEL=0\n";
    let mut command = openssl.command();
    command.env("OPENSSL_CONF", files.write("openssl.cnf", anything));
    serve_openssl_by(command, files, flags)
}

fn serve_openssl_by(mut command: Command, files: &Files, flags: &[&str]) -> Server {
    let port = free_port();
    command.args(["s_server", "-www", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
    command.args(["-cert", &files.chain, "-key", &files.key]).args(flags);
    Server::start(command, port)
}

pub(crate) fn serve_gnutls(
    gnutls: &Program,
    files: &Files,
    priority: &str,
    flags: &[&str],
) -> Server {
    let port = free_port();
    let port_text = port.to_string();
    let args = [
        "--http",
        "--quiet",
        "--port",
        &port_text,
        "--priority",
        priority,
        "--x509certfile",
        &files.chain,
        "--x509keyfile",
        &files.key,
    ];
    gnutls.serve(port, [&args, flags].concat())
}

/// A listener of haproxy with these words behind its certificate.
pub(crate) fn serve_haproxy(haproxy: &Program, files: &Files, options: &str) -> Server {
    let port = free_port();
    let both = [&files.chain, &files.key].map(|path| fs::read_to_string(path).unwrap());
    let certificate = files.write("both.pem", &both.concat());
    let config = format!(
        "defaults\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n mode http\n\
         frontend tls\n bind 127.0.0.1:{port} ssl crt {certificate} {options}\n \
         http-request return status 200\n"
    );
    let config = files.write("haproxy.cfg", &config);
    haproxy.serve(port, ["-db", "-f", &config])
}

/// A server of Go's own library, which offers h2 and http/1.1.
pub(crate) fn serve_go(go: &Program, files: &Files) -> Server {
    serve_go_source(go, files, include_str!("server.go"), &[])
}

/// A server of Go's own library that knows Encrypted ClientHello: `ech.go` says what it takes and writes.
pub(crate) fn serve_go_ech(go: &Program, files: &Files, args: &[&str]) -> Server {
    serve_go_source(go, files, include_str!("ech.go"), args)
}

/// A server made of one file of Go. It gets an address, the certificate, and `args`.
fn serve_go_source(go: &Program, files: &Files, source: &str, args: &[&str]) -> Server {
    let source = files.write("main.go", source);
    let binary = files.dir().join("server");
    // What Go has built once, it need not build for the next test.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache");
    let mut build = go.command();
    build.env("GOCACHE", cache).env("GO111MODULE", "off");
    let built = build.args(["build", "-o", binary.to_str().unwrap(), &source]).output().unwrap();
    assert!(built.status.success(), "{}", super::programs::shown(&built));
    let port = free_port();
    let mut command = Command::new(binary);
    command.args([&format!("127.0.0.1:{port}"), &files.chain, &files.key]).args(args);
    Server::start(command, port)
}

/// Caddy, with HTTP/1.1, 2 and 3.
pub(crate) fn serve_caddy(caddy: &Program, files: &Files) -> Server {
    let port = free_port();
    let config = format!(
        "{{\n admin off\n auto_https off\n default_sni localhost\n}}\n\
         https://localhost:{port}, https://127.0.0.1:{port} {{\n bind 127.0.0.1\n tls {} {}\n \
         respond hello\n}}\n",
        files.chain, files.key,
    );
    let config = files.write("Caddyfile", &config);
    let mut command = caddy.command();
    command.env("HOME", files.dir()).env("XDG_DATA_HOME", files.dir());
    command.args(["run", "--config", &config, "--adapter", "caddyfile"]);
    Server::start(command, port)
}
