//! An array in memory, behind the double's requests.

use bulkhead_sdk::CapabilityError;
use bulkhead_sdk::http::Response;
use bulkhead_sdk::testing::{Command, Lab};
use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What it has.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) model: String,
    /// Volumes with their GiB.
    pub(crate) volumes: BTreeMap<String, u64>,
    /// Snapshots with their volume and its GiB then.
    pub(crate) snapshots: BTreeMap<String, (String, u64)>,
    /// How many more questions are answered with "running".
    pub(crate) running: u32,
    /// What the last work failed with.
    pub(crate) failure: Option<&'static str>,
    /// How many requests are told to wait first.
    pub(crate) delays: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Array(Rc<RefCell<Content>>);

impl Default for Array {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Content {
            model: "appliance".to_owned(),
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            running: 0,
            failure: None,
            delays: 0,
        })))
    }
}

const REQUESTS: [&str; 12] = [
    "read-system",
    "read-volume",
    "read-job",
    "create-volume",
    "clone-volume",
    "delete-volume",
    "resize-volume",
    "revert-volume",
    "set-clients",
    "read-snapshot",
    "create-snapshot",
    "delete-snapshot",
];

impl Array {
    pub(crate) fn borrow_mut(&self) -> RefMut<'_, Content> {
        self.0.borrow_mut()
    }

    /// A host whose requests this array answers.
    pub(crate) fn lab(&self) -> Lab {
        let lab = Lab::new(include_str!("../../driver.toml"));
        for request in REQUESTS {
            let content = Rc::clone(&self.0);
            lab.answer_request(request, move |asked| Ok(content.borrow_mut().answer(asked)));
        }
        lab.set_option("export_address", bulkhead_sdk::config::Value::Text("10.0.0.9".to_owned()));
        lab
    }

    /// The same, but the answer to one request never comes.
    pub(crate) fn lose(&self, lab: &Lab, request: &str) {
        let content = Rc::clone(&self.0);
        lab.answer_request(request, move |asked| {
            content.borrow_mut().answer(asked);
            Err(CapabilityError::new(bulkhead_sdk::CapabilityCode::OutcomeUnknown, "the link broke"))
        });
    }
}

fn refused(status: u16, code: &str) -> Response {
    Response::new(status, format!(r#"{{"code":"{code}","message":"no"}}"#))
}

impl Content {
    fn answer(&mut self, asked: &Command) -> Response {
        if self.delays > 0 {
            self.delays -= 1;
            return Response { retry_after: Some(std::time::Duration::from_secs(2)), ..refused(429, "busy") };
        }
        let (volume, snapshot) = (asked.value("volume"), asked.value("snapshot"));
        let size = || asked.value("size").parse().unwrap_or(0);
        match asked.template() {
            "read-system" => Response::new(
                200,
                format!(r#"{{"model":"{}","version":"7","total_gib":100.0,"free_gib":60.5}}"#, self.model),
            ),
            "read-volume" => match self.volumes.get(volume) {
                None => refused(404, "no-volume"),
                Some(size) => {
                    Response::new(200, format!(r#"{{"size_gib":{size},"export":"/vol/{volume}"}}"#))
                }
            },
            "read-job" if !self.volumes.contains_key(volume) => refused(404, "no-volume"),
            "read-job" if self.running > 0 => {
                self.running -= 1;
                Response::new(200, r#"{"state":"running"}"#)
            }
            "read-job" => match self.failure {
                None => Response::new(200, r#"{"state":"done"}"#),
                Some(code) => Response::new(200, format!(r#"{{"state":"failed","error":"{code}"}}"#)),
            },
            "create-volume" | "clone-volume" if self.volumes.contains_key(volume) => refused(409, "exists"),
            "clone-volume" if !self.snapshots.contains_key(asked.value("source")) => {
                refused(404, "no-snapshot")
            }
            "create-volume" | "clone-volume" => {
                self.volumes.insert(volume.to_owned(), size());
                Response::new(202, "{}")
            }
            "delete-volume" => match self.volumes.remove(volume) {
                None => refused(404, "no-volume"),
                Some(_) => Response::new(202, "{}"),
            },
            "resize-volume" if size() < 2 => refused(409, "in-use"),
            "resize-volume" => {
                self.volumes.insert(volume.to_owned(), size());
                Response::new(202, "{}")
            }
            "revert-volume" => {
                let size = self.snapshots.get(snapshot).map_or(0, |(_, size)| *size);
                self.volumes.insert(volume.to_owned(), size);
                Response::new(202, "{}")
            }
            _ => self.answer_about_snapshots(asked, (volume, snapshot)),
        }
    }

    fn answer_about_snapshots(&mut self, asked: &Command, (volume, snapshot): (&str, &str)) -> Response {
        match asked.template() {
            "read-snapshot" => match self.snapshots.get(snapshot) {
                None => refused(404, "no-snapshot"),
                Some((volume, _)) => Response::new(200, format!(r#"{{"volume":"{volume}"}}"#)),
            },
            "create-snapshot" => match self.volumes.get(volume) {
                None => refused(404, "no-volume"),
                Some(size) => {
                    self.snapshots.insert(snapshot.to_owned(), (volume.to_owned(), *size));
                    Response::new(202, "{}")
                }
            },
            "delete-snapshot" => match self.snapshots.remove(snapshot) {
                None => refused(404, "no-snapshot"),
                Some(_) => Response::new(202, "{}"),
            },
            _ => Response::new(200, "{}"),
        }
    }
}
