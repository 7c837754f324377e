//! nginx that hands a file over by TLS 1.3, and curl that fetches it.

use std::fs;
use std::time::Duration;

use super::super::folders::Folder;
use super::super::peers;
use super::super::processes::Process;
use super::super::servers::{self, Server};
use super::super::trouble::Outcome;

/// Both, with a certificate that nobody has signed.
#[derive(Debug)]
pub(super) struct Nginx {
    program: String,
    curl: String,
    title: String,
    folder: Folder,
}

impl Nginx {
    /// Looks for them, and makes the certificate.
    pub(super) fn find() -> Outcome<Self> {
        let title = format!(
            "nginx {} TLS 1.3 + curl {}",
            peers::find("nginx", "-v")?,
            peers::find("curl", "--version")?
        );
        let folder = Folder::new("nginx")?;
        let (key, certificate) = (folder.path("key.pem"), folder.path("certificate.pem"));
        let args = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &certificate,
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ];
        Process::start(&peers::path("openssl")?, &args)?.finish(Duration::from_secs(60))?;
        Ok(Self {
            program: peers::path("nginx")?,
            curl: peers::path("curl")?,
            title,
            folder,
        })
    }

    /// Their names and versions.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Starts nginx with this folder.
    pub(super) fn start(&self, root: &Folder) -> Outcome<Server> {
        let address = servers::free_tcp()?;
        let at = |name| self.folder.path(name);
        // One process, so that its figures are all there is.
        let configuration = format!(
            "daemon off;
            master_process off;
            worker_processes 1;
            pid {pid};
            error_log {log};
            events {{ worker_connections 1024; }}
            http {{
                access_log off;
                sendfile on;
                client_body_temp_path {temporary};
                proxy_temp_path {temporary};
                fastcgi_temp_path {temporary};
                uwsgi_temp_path {temporary};
                scgi_temp_path {temporary};
                server {{
                    listen {address} ssl;
                    ssl_protocols TLSv1.3;
                    ssl_certificate {certificate};
                    ssl_certificate_key {key};
                    root {root};
                }}
            }}\n",
            pid = at("pid"),
            log = at("log"),
            temporary = at("temporary"),
            certificate = at("certificate.pem"),
            key = at("key.pem"),
            root = root.path(""),
        );
        let path = at("configuration");
        fs::write(&path, configuration)?;
        Server::told_where_tcp(&self.program, &["-c", &path], address)
    }

    /// A command that fetches a file from there.
    pub(super) fn get(&self, server: &Server, to: &str) -> Vec<String> {
        let from = format!("https://{}/file", server.address());
        let args = [&self.curl, "-k", "-s", "-S", "-f", "-o", to, &from];
        args.map(str::to_owned).into()
    }
}
