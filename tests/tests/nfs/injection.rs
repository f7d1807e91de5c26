//! What must never reach Ganesha's configuration: a corpus of texts that would open the server if any of them got through, tried in
//! every place where somebody's text comes near its files, and the real server looked at afterwards.

use crate::{mount, mounted_share};
use anyhow::{Context, ensure};
use bulkhead_tests::daemon::{Daemon, SETTLE};
use bulkhead_tests::ganesha::{export_files, export_id, export_manager};
use bulkhead_tests::machine::{CLIENTS, SERVER, isolated};
use bulkhead_tests::nfs::{Client, Place};
use bulkhead_tests::site::{Plan, Site, name, ports};
use bulkhead_tests::verbs::{allow, share_path, text, until};
use serde_json::{Value, json};

/// Each ran as root in NFS-Ganesha when bytes were free.
const CORPUS: &[&str] = &[
    "\"",
    "'",
    "\\",
    "\n",
    "\r\n",
    "\0",
    ";",
    "#",
    "}",
    "{",
    "*",
    "/",
    "0.0.0.0/0",
    "::/0",
    "10.77.0.11, *",
    "10.77.0.11,10.77.0.12",
    "10.77.0.11; Access_Type = RW",
    "10.77.0.11\"; Clients = \"*",
    "10.77.0.11;} CLIENT { Clients = *; Access_Type = RW; } CLIENT { Clients = 10.77.0.11",
    "10.77.0.11\n} } EXPORT { Export_Id = 999; Path = \"/\"; Pseudo = \"/all\"; Access_Type = RW; FSAL { Name = VFS; } } #",
    "\"; Path = \"/\"; Pseudo = \"/all",
    "\"; Squash = No_Root_Squash; Access_Type = RW; #",
    "x\n%include \"/etc/passwd\"\n",
    "x\n%dir /etc\n",
    "%include /etc/shadow",
    "%url http://127.0.0.1/x",
    "\"; FSAL { Name = MEM; } #",
    "\"; Plugins_Dir = \"/tmp",
    "../../../../etc/passwd",
    "@netgroup",
    "*.example.com",
    "EXPORT(Export_Id=1)",
    "1) ; EXPORT(Export_Id=2",
    "$(touch /tmp/pwned)",
    "`id`",
];

/// The texts that are rules in their own right: whoever may let people in may let everybody in.
const HONEST_RULES: &[&str] = &["0.0.0.0/0", "::/0"];

/// Try a text as a client, a name, a description, metadata, and the place of something to take over.
async fn try_everywhere(site: &Site, share: &str, words: &str) -> anyhow::Result<()> {
    let (tenant, operator) = (site.tenant(), site.operator());
    let action = format!("{}/action", share_path(share));
    for kind in ["ip", "user", "cert", words] {
        if kind == "ip" && HONEST_RULES.contains(&words) {
            continue;
        }
        let rule =
            json!({ "allow_access": { "access_type": kind, "access_to": words, "access_level": "rw" } });
        let answer = tenant.send("POST", &action, Some(&rule)).await?;
        ensure!(
            kind != "ip" || answer.status == 400,
            "as a client {words:?} got {}: {}",
            answer.status,
            answer.body
        );
    }
    let level =
        json!({ "allow_access": { "access_type": "ip", "access_to": CLIENTS[1], "access_level": words } });
    let answer = tenant.send("POST", &action, Some(&level)).await?;
    ensure!(answer.status == 400, "as a level {words:?} got {}: {}", answer.status, answer.body);
    let named = json!({ "share": { "display_name": words, "display_description": words } });
    tenant.send("PUT", &share_path(share), Some(&named)).await?;
    let metadata = json!({ "metadata": { words: words, "key": words } });
    tenant.send("POST", &format!("{}/metadata", share_path(share)), Some(&metadata)).await?;
    let manage = json!({ "share": { "protocol": "NFS", "export_path": words, "service_host": "nas1", "name": words } });
    let answer = operator.send("POST", "/v2/shares/manage", Some(&manage)).await?;
    if answer.status < 300 {
        let id = text(&answer.body["share"]["id"])?;
        bulkhead_tests::daemon::settle(&operator, &share_path(&id), "share", &["manage_error", "error"])
            .await?;
        operator.post(&format!("{}/action", share_path(&id)), &json!({ "unmanage": null })).await?;
    }
    Ok(())
}

/// Every export file is of this shape, and nothing else is in it.
fn check_text(text: &str) -> anyhow::Result<()> {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let word = line.split([' ', '=']).next().unwrap_or_default();
        let known = [
            "EXPORT",
            "Export_Id",
            "Path",
            "Pseudo",
            "Access_Type",
            "Squash",
            "CLIENT",
            "FSAL",
            "}",
            "Protocols",
            "Clients",
        ];
        ensure!(known.contains(&word), "a line that nobody declared: {line}");
        for forbidden in ["%include", "%dir", "%url", "No_Root_Squash", "Plugins_Dir", "MEM", "netgroup"] {
            ensure!(!line.contains(forbidden), "{forbidden} got through: {line}");
        }
        if word == "Path" {
            ensure!(line.contains("/run/exports/"), "another path is exported: {line}");
        }
    }
    Ok(())
}

#[test]
fn no_text_of_a_tenant_or_operator_opens_the_server() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, mut client) = mounted_share(&site).await?;
        let ganesha = site.ganesha()?;
        let configuration = site.lab.root(&name(1), "config");
        let before = std::fs::read_to_string(configuration.join("ganesha.conf"))?;
        for words in CORPUS {
            try_everywhere(&site, &share, words).await.with_context(|| format!("{words:?}"))?;
        }
        // A change that writes the file anew, with whatever was taken.
        allow(&site.tenant(), &share, CLIENTS[1], "ro").await?;
        ensure!(std::fs::read_to_string(configuration.join("ganesha.conf"))? == before);
        let files = export_files(&configuration)?;
        ensure!(files.len() == 1, "{files:?}");
        for (file, text) in &files {
            check_text(text).with_context(|| format!("{}:\n{text}", file.display()))?;
        }
        ensure!(site.ganesha()? == ganesha, "Ganesha died of it");
        let id = export_id(&files[0].1)?;
        let shown = export_manager(ganesha, "ShowExports", &[])?;
        let others = shown.lines().filter_map(|line| line.trim().strip_prefix("uint16 ")).filter(|number| {
            number.split_whitespace().next().is_some_and(|number| number != id.to_string() && number != "0")
        });
        ensure!(others.count() == 0, "exports that nobody asked for: {shown}");
        ensure!(site.mount(&share, CLIENTS[2]).await?.is_err(), "a stranger was let in");
        for path in ["/", "/all", "/etc"] {
            let place = Place { path: path.to_owned(), ..client.place().clone() };
            if let Ok(mut opened) = Client::mount(place).await {
                ensure!(
                    opened.read("passwd").await.is_err() && opened.write("pwned", b"x").await.is_err(),
                    "{path} is open"
                );
            }
        }
        client.write("letter", b"all is well").await?;
        ensure!(mount(&site, &share, CLIENTS[1]).await?.read("letter").await? == b"all is well");
        Ok(())
    })
}

#[test]
fn no_option_of_a_backend_carries_text_into_the_servers_configuration() -> anyhow::Result<()> {
    isolated(async |folder| {
        let site = Site::start(&folder, Plan::ONE).await?;
        let (share, mut client) = mounted_share(&site).await?;
        let Site { daemon, lab, pools, .. } = site;
        drop(daemon);
        let honest = std::fs::read_to_string(lab.backend_file(&name(1)))?;
        let configuration = lab.root(&name(1), "config").join("ganesha.conf");
        let before = std::fs::read_to_string(&configuration)?;
        for words in CORPUS {
            let quoted = Value::from(*words).to_string();
            let spoiled = honest.replace(&format!("\"{SERVER}\""), &quoted);
            ensure!(spoiled != honest, "the address is not where it was thought to be: {honest}");
            std::fs::write(lab.backend_file(&name(1)), spoiled)?;
            // The generation that served goes on; the one with the text never becomes current.
            let daemon = Daemon::start(&lab).await?;
            until("the new generation is refused", SETTLE, async || {
                let found = daemon.operator().get("/v1/backends/nas1").await?;
                let state = found["backend"]["last_change"]["state"].as_str().unwrap_or_default().to_owned();
                ensure!(
                    !["done", "unchanged"].contains(&state.as_str()),
                    "it was taken for an address: {found}"
                );
                Ok(state == "failed")
            })
            .await
            .with_context(|| format!("{words:?}"))?;
            drop(daemon);
            ensure!(
                std::fs::read_to_string(&configuration)? == before,
                "{words:?} got into the configuration"
            );
        }
        client.write("letter", b"all is well").await?;
        std::fs::write(lab.backend_file(&name(1)), honest)?;
        let daemon = Daemon::start(&lab).await?;
        daemon.ready().await?;
        let location = bulkhead_tests::verbs::location(&daemon.tenant(), &share).await?;
        let mut client = Client::mount(Place::of(&location, ports(1), CLIENTS[0])?).await?;
        ensure!(client.read("letter").await? == b"all is well");
        drop(daemon);
        drop(pools);
        Ok(())
    })
}
