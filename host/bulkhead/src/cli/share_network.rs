//! `bulkhead share-network`.

use super::connection::{ConnectionOptions, OutputOptions, field, find, look_in};
use super::printer::Printer;
use super::share::pair;
use crate::client::{Client, part};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Share networks: where tenants want their shares to be reached
#[derive(Debug, clap::Args)]
pub(crate) struct ShareNetworkCommand {
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a share network with one subnet
    Create(Words),
    /// List share networks, newest first
    List {
        /// Those of all projects
        #[arg(long)]
        all_projects: bool,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Show a share network, its subnets and its security services
    Show {
        /// Its name or id
        network: String,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Name or describe a share network anew, or let its servers join another directory
    Set(Set),
    /// Let servers in a share network join a directory no more
    Unset {
        /// The network's name or id
        network: String,
        /// The security service to take away, by name or id
        #[arg(long, value_name = "SERVICE")]
        security_service: String,
    },
    /// Subnets of share networks
    #[command(subcommand)]
    Subnet(Subnet),
    /// Remove a share network that nothing is on
    Delete {
        /// Its name or id
        network: String,
    },
}

#[derive(Debug, clap::Args)]
struct Words {
    /// A name for it
    #[arg(long)]
    name: Option<String>,
    /// Words about it
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, clap::Args)]
struct Set {
    /// Its name or id
    network: String,
    /// A name for it
    #[arg(long)]
    name: Option<String>,
    /// Words about it
    #[arg(long)]
    description: Option<String>,
    /// A security service whose directory its servers shall join, by name or id; those in service follow if their drivers could
    #[arg(long, value_name = "SERVICE")]
    security_service: Option<String>,
    /// The security service of the same type that is replaced by it, by name or id
    #[arg(long, value_name = "SERVICE", requires = "security_service")]
    replacing: Option<String>,
    /// Only ask whether servers in service could follow
    #[arg(long, requires = "security_service")]
    check_only: bool,
    /// Overrule its status: active or error; for operators
    #[arg(long)]
    status: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Subnet {
    /// Add a subnet; servers in service get addresses in it if their drivers could serve it
    Create {
        /// The network's name or id
        network: String,
        /// Only ask whether servers in service could serve it
        #[arg(long)]
        check_only: bool,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Set metadata of a subnet; backends that follow a key are told
    Set {
        /// The network's name or id
        network: String,
        /// The subnet's id
        subnet: String,
        /// A key with its value; several times for several
        #[arg(long = "property", value_name = "KEY=VALUE", value_parser = pair, required = true)]
        properties: Vec<(String, String)>,
    },
    /// Remove a subnet
    Delete {
        /// The network's name or id
        network: String,
        /// The subnet's id
        subnet: String,
    },
}

const COLUMNS: [&str; 4] = ["id", "name", "status", "created_at"];
const FIELDS: [&str; 6] = ["id", "name", "description", "status", "project_id", "created_at"];
const SUBNET_COLUMNS: [&str; 6] = ["id", "cidr", "gateway", "network_type", "segmentation_id", "mtu"];

fn path(network: &str) -> String {
    format!("/v2/share-networks/{network}")
}

pub(crate) async fn find_network(client: &Client, name: &str) -> anyhow::Result<String> {
    find(client, "share-networks", "share-network", name).await
}

impl ShareNetworkCommand {
    pub(crate) async fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let client = self.connection.client();
        match self.verb {
            Verb::Create(Words { name, description, output }) => {
                let asked = json!({ "share_network": { "name": name, "description": description } });
                let made = client.post("/v2/share-networks", &asked).await?;
                show(&client, made.get("share_network").unwrap_or(&Value::Null), output, printer).await
            }
            Verb::List { all_projects, output } => {
                let query = if all_projects { "?all_tenants=1" } else { "" };
                let listed = client.get(&format!("/v2/share-networks/detail{query}")).await?;
                let networks = listed.get("share_networks").cloned().unwrap_or_default();
                if output.json {
                    return printer.json(&networks);
                }
                printer.table(&COLUMNS, networks.as_array().map(Vec::as_slice).unwrap_or_default());
                Ok(())
            }
            Verb::Show { network, output } => {
                let id = find_network(&client, &network).await?;
                let found = client.get(&path(&id)).await.map_err(look_in("bulkhead share-network list"))?;
                show(&client, found.get("share_network").unwrap_or(&Value::Null), output, printer).await
            }
            Verb::Set(set) => set.run(&client, printer).await,
            Verb::Unset { network, security_service } => {
                let id = find_network(&client, &network).await?;
                let service = super::security_service::find_service(&client, &security_service).await?;
                let asked = json!({ "remove_security_service": { "security_service_id": service } });
                client.post(&format!("{}/action", path(&id)), &asked).await.map(drop)
            }
            Verb::Subnet(subnet) => subnet.run(&client, printer).await,
            Verb::Delete { network } => {
                let id = find_network(&client, &network).await?;
                client.delete(&path(&id)).await.map(drop).map_err(look_in("bulkhead share-network list"))
            }
        }
    }
}

impl Set {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let id = find_network(client, &self.network).await?;
        let given = [("name", self.name), ("description", self.description)];
        let fields: Map<String, Value> =
            given.into_iter().filter_map(|(field, value)| Some((field.to_owned(), json!(value?)))).collect();
        if !fields.is_empty() {
            client.put(&path(&id), &json!({ "share_network": fields })).await?;
        }
        let action = format!("{}/action", path(&id));
        if let Some(service) = self.security_service {
            let service = super::security_service::find_service(client, &service).await?;
            let (verb, asked) = match self.replacing {
                None => ("add_security_service", json!({ "security_service_id": service })),
                Some(current) => {
                    let current = super::security_service::find_service(client, &current).await?;
                    let asked = json!({ "current_service_id": current, "new_service_id": service });
                    ("update_security_service", asked)
                }
            };
            check(client, &action, &format!("{verb}_check"), &asked).await?;
            if self.check_only {
                printer.pairs(&[("compatible".to_owned(), "true".to_owned())]);
                return Ok(());
            }
            client.post(&action, &json!({ verb: asked })).await?;
        }
        if let Some(status) = self.status {
            client.post(&action, &json!({ "reset_status": { "status": status } })).await?;
        }
        Ok(())
    }
}

impl Subnet {
    async fn run(self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        match self {
            Self::Create { network, check_only, output } => {
                let network = path(&find_network(client, &network).await?);
                let action = format!("{network}/action");
                check(client, &action, "share_network_subnet_create_check", &json!({})).await?;
                if check_only {
                    printer.pairs(&[("compatible".to_owned(), "true".to_owned())]);
                    return Ok(());
                }
                let at = format!("{network}/subnets");
                let made = client.post(&at, &json!({ "share-network-subnet": {} })).await?;
                let subnet = made.get("share_network_subnet").cloned().unwrap_or_default();
                if output.json {
                    return printer.json(&subnet);
                }
                printer.pairs(&[("id".to_owned(), field(&subnet, "id"))]);
                Ok(())
            }
            Self::Set { network, subnet, properties } => {
                let network = find_network(client, &network).await?;
                let at = format!("{}/subnets/{}/metadata", path(&network), part(&subnet));
                let pairs: BTreeMap<String, String> = properties.into_iter().collect();
                let hint = "bulkhead share-network show NETWORK";
                client.post(&at, &json!({ "metadata": pairs })).await.map(drop).map_err(look_in(hint))
            }
            Self::Delete { network, subnet } => {
                let id = find_network(client, &network).await?;
                let at = format!("{}/subnets/{}", path(&id), part(&subnet));
                let hint = "bulkhead share-network show NETWORK";
                client.delete(&at).await.map(drop).map_err(look_in(hint))
            }
        }
    }
}

/// How often it is asked whether servers could follow.
const CHECK_PERIOD: Duration = Duration::from_millis(500);

/// Wait until it is known whether the servers of a network could follow, and fail unless they could. Asked anew, whatever was known.
async fn check(client: &Client, action: &str, name: &str, asked: &Value) -> anyhow::Result<()> {
    let mut asked = asked.clone();
    if let Some(fields) = asked.as_object_mut() {
        fields.insert("reset_operation".to_owned(), json!(true));
    }
    loop {
        let answer = client.post(action, &json!({ name: asked })).await?;
        match answer.get("compatible").and_then(Value::as_bool) {
            Some(true) => return Ok(()),
            Some(false) => anyhow::bail!(
                "a share server of the network could not follow; its backend's log says why ('bulkhead share-server list' names them)"
            ),
            None => tokio::time::sleep(CHECK_PERIOD).await,
        }
        if let Some(fields) = asked.as_object_mut() {
            fields.remove("reset_operation");
        }
    }
}

async fn show(
    client: &Client,
    network: &Value,
    output: OutputOptions,
    printer: &Printer,
) -> anyhow::Result<()> {
    if output.json {
        return printer.json(network);
    }
    let mut pairs: Vec<_> = FIELDS.iter().map(|name| ((*name).to_owned(), field(network, name))).collect();
    let of_network = format!("/v2/security-services?share_network_id={}", field(network, "id"));
    let services = client.get(&of_network).await?;
    let services = services.get("security_services").and_then(Value::as_array);
    let names: Vec<_> = services
        .into_iter()
        .flatten()
        .map(|one| format!("{} ({})", field(one, "name"), field(one, "id")))
        .collect();
    let shown = if names.is_empty() { "-".to_owned() } else { names.join(", ") };
    pairs.push(("security_services".to_owned(), shown));
    printer.pairs(&pairs);
    let subnets = network.get("share_network_subnets").and_then(Value::as_array);
    printer.table(&SUBNET_COLUMNS, subnets.map(Vec::as_slice).unwrap_or_default());
    Ok(())
}
