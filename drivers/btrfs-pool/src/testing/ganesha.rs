//! NFS-Ganesha, played: what its export manager does and answers, word by word as the real one.

#![expect(clippy::expect_used, reason = "a test whose files make no sense fails")]

use bulkhead_sdk::CapabilityError;
use bulkhead_sdk::dbus::{Fault, Item, Reply, Value};
use bulkhead_sdk::testing::{Command, Lab};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::rc::Rc;

type Answer = Result<Reply, CapabilityError>;

/// An export as the server knows it: its path, and the lines that say who is let in.
pub type Served = (String, Vec<String>);

/// A server that knows the exports it was told of.
#[derive(Debug, Clone, Default)]
pub struct Ganesha {
    exports: Rc<RefCell<BTreeMap<u16, Served>>>,
}

impl Ganesha {
    /// One that answers the bus calls of `lab` from now on.
    #[must_use]
    pub fn install(lab: &Lab) -> Self {
        let ganesha = Self::default();
        let on = |template: &str, work: fn(&Self, &Command) -> Answer| {
            let ganesha = ganesha.clone();
            lab.answer_dbus(template, move |call| work(&ganesha, call));
        };
        on("update-export", Self::load);
        on("remove-export", Self::remove);
        on("display-export", Self::display);
        ganesha
    }

    /// What is served, by number.
    #[must_use]
    pub fn served(&self) -> BTreeMap<u16, Served> {
        self.exports.borrow().clone()
    }

    /// Who may mount a share or snapshot; none if it is not served.
    #[must_use]
    pub fn clients(&self, name: &str) -> Option<Vec<String>> {
        let path = format!("/run/exports/{name}");
        self.exports.borrow().values().find(|(served, _)| *served == path).map(|(_, clients)| clients.clone())
    }

    /// It dies and is started again with an empty directory of exports.
    pub fn forget_all(&self) {
        self.exports.borrow_mut().clear();
    }

    /// Somebody lets everybody in.
    pub fn open_by_hand(&self) {
        for (_, clients) in self.exports.borrow_mut().values_mut() {
            *clients = vec!["CLIENT { Clients = *; Access_Type = RW; }".to_owned()];
        }
    }

    fn load(&self, call: &Command) -> Answer {
        let [file, expression] = call.words() else { return refuses("wrong arguments") };
        let Ok(text) = fs::read_to_string(file) else {
            return refuses(&format!(
                "error 2 (No such file or directory) when attempting to stat config file {file}"
            ));
        };
        let id: u16 = between(&text, "Export_Id = ", ";").parse().expect("a number");
        assert_eq!(expression, &format!("EXPORT(Export_Id={id})"));
        let path = between(&text, "Path = \"", "\"").to_owned();
        let mut exports = self.exports.borrow_mut();
        if exports.iter().any(|(other, (served, _))| *other != id && *served == path) {
            return refuses("1 validation errors in block EXPORT");
        }
        let clients = text
            .lines()
            .flat_map(|line| line.split("CLIENT ").skip(1))
            .map(|client| client.trim().to_owned());
        exports.insert(id, (path, clients.collect()));
        results(vec![Value::Text("1 exports updated".to_owned())])
    }

    fn remove(&self, call: &Command) -> Answer {
        match self.exports.borrow_mut().remove(&number(call)) {
            Some(_) => results(Vec::new()),
            None => refuses("lookup_export failed with Export id not found"),
        }
    }

    /// What it says of an export.
    ///
    /// # Errors
    ///
    /// Never: a number it does not know is a fault in the answer.
    pub fn display(&self, call: &Command) -> Answer {
        let exports = self.exports.borrow();
        let Some((path, clients)) = exports.get(&number(call)) else {
            return refuses("lookup_export failed with Export id not found");
        };
        let mut values = vec![Value::Unsigned(u64::from(number(call))), Value::Text(path.clone())];
        values.extend(clients.iter().cloned().map(Value::Text));
        results(values)
    }
}

fn number(call: &Command) -> u16 {
    call.words().first().and_then(|word| word.parse().ok()).expect("a number")
}

fn between<'text>(text: &'text str, before: &str, after: &str) -> &'text str {
    let (_, rest) = text.split_once(before).expect("a value");
    rest.split_once(after).expect("its end").0
}

fn results(values: Vec<Value>) -> Answer {
    let items = values.into_iter().zip(0..).map(|(value, position)| Item { position: vec![position], value });
    Ok(Reply::Results(items.collect()))
}

fn refuses(message: &str) -> Answer {
    let name = "org.freedesktop.DBus.Error.InvalidArgs".to_owned();
    Ok(Reply::Fault(Fault { name, message: message.to_owned() }))
}
