//! `bulkhead security-service`.

use super::connection::{ConnectionOptions, OutputOptions, field, find, look_in};
use super::printer::Printer;
use crate::client::Client;
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::io::Read as _;

/// Security services: the directories that share servers join
#[derive(Debug, clap::Args)]
pub(crate) struct SecurityServiceCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a security service
    Create {
        /// active_directory, ldap or kerberos
        #[arg(value_name = "TYPE")]
        service_type: String,
        #[command(flatten)]
        fields: Fields,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// List security services, newest first
    List {
        /// Those of all projects
        #[arg(long)]
        all_projects: bool,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Show a security service; its password is never shown
    Show {
        /// Its name or id
        service: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Change a security service; once share servers use it, only its name and description
    Set {
        /// Its name or id
        service: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Remove a security service that no share network has
    Delete {
        /// Its name or id
        service: String,
    },
}

/// What a security service says. An empty text takes it away.
#[derive(Debug, clap::Args)]
struct Fields {
    /// A name for it
    #[arg(long)]
    name: Option<String>,
    /// Words about it
    #[arg(long)]
    description: Option<String>,
    /// The address of the name server for the domain
    #[arg(long, value_name = "ADDRESS")]
    dns_ip: Option<String>,
    /// The directory server, by name or address
    #[arg(long)]
    server: Option<String>,
    /// The domain
    #[arg(long)]
    domain: Option<String>,
    /// The account that joins
    #[arg(long)]
    user: Option<String>,
    /// Read that account's password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// The organizational unit to join
    #[arg(long, value_name = "UNIT")]
    ou: Option<String>,
    /// The Active Directory site to prefer, instead of a server
    #[arg(long, value_name = "SITE")]
    default_ad_site: Option<String>,
}

impl Fields {
    fn given(self) -> anyhow::Result<Map<String, Value>> {
        let texts = [
            ("name", self.name),
            ("description", self.description),
            ("dns_ip", self.dns_ip),
            ("server", self.server),
            ("domain", self.domain),
            ("user", self.user),
            ("ou", self.ou),
            ("default_ad_site", self.default_ad_site),
        ];
        let mut fields: Map<String, Value> =
            texts.into_iter().filter_map(|(field, value)| Some((field.to_owned(), json!(value?)))).collect();
        if self.password_stdin {
            fields.insert("password".to_owned(), json!(read_password()?));
        }
        Ok(fields)
    }
}

/// What stands on standard input, without the line's end. Never an argument: those are shown to everybody by `ps`.
fn read_password() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text).context("the password cannot be read")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    // What should have told it may have failed: that must not take a password away.
    anyhow::ensure!(!line.is_empty(), "no password came on standard input; nothing was changed");
    Ok(line.to_owned())
}

const COLUMNS: [&str; 5] = ["id", "name", "type", "domain", "created_at"];
const FIELDS: [&str; 11] = [
    "id",
    "name",
    "description",
    "type",
    "project_id",
    "dns_ip",
    "server",
    "domain",
    "user",
    "password",
    "ou",
];

fn path(service: &str) -> String {
    format!("/v2/security-services/{service}")
}

pub(crate) async fn find_service(client: &Client, name: &str) -> anyhow::Result<String> {
    find(client, "security-services", "security-service", name).await
}

impl SecurityServiceCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        let hint = || look_in("bulkhead security-service list");
        match self.verb {
            Verb::Create { service_type, fields, output } => {
                let mut asked = fields.given()?;
                asked.insert("type".to_owned(), json!(service_type));
                let made =
                    client.post("/v2/security-services", &json!({ "security_service": asked })).await?;
                show(made.get("security_service").unwrap_or(&Value::Null), output, printer)
            }
            Verb::List { all_projects, output } => {
                let query = if all_projects { "?all_tenants=1" } else { "" };
                let listed = client.get(&format!("/v2/security-services/detail{query}")).await?;
                let services = listed.get("security_services").cloned().unwrap_or_default();
                if output.json {
                    return printer.json(&services);
                }
                printer.table(&COLUMNS, services.as_array().map(Vec::as_slice).unwrap_or_default());
                Ok(())
            }
            Verb::Show { service, output } => {
                let id = find_service(&client, &service).await?;
                let found = client.get(&path(&id)).await.map_err(hint())?;
                show(found.get("security_service").unwrap_or(&Value::Null), output, printer)
            }
            Verb::Set { service, fields } => {
                let id = find_service(&client, &service).await?;
                let asked = json!({ "security_service": fields.given()? });
                client.put(&path(&id), &asked).await.map(drop).map_err(hint())
            }
            Verb::Delete { service } => {
                let id = find_service(&client, &service).await?;
                client.delete(&path(&id)).await.map(drop).map_err(hint())
            }
        }
    }
}

fn show(service: &Value, output: OutputOptions, printer: &Printer) -> anyhow::Result<()> {
    if output.json {
        return printer.json(service);
    }
    let pairs: Vec<_> = FIELDS.iter().map(|name| ((*name).to_owned(), field(service, name))).collect();
    printer.pairs(&pairs);
    Ok(())
}
