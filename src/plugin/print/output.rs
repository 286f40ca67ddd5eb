//! `-o`: objects as a table, as JSON or YAML, or as names.

use std::io::{self, Write as _};

use clap::ValueEnum;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde_json::{Value, json};

use super::table::Table;
use crate::plugin::{context::Ctx, error::PluginError};

/// How objects are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// The same with more columns.
    Wide,
    /// The objects, as kubectl prints them.
    Json,
    /// The objects, as kubectl prints them.
    Yaml,
    /// One `kind.group/name` per line.
    Name,
}

/// Flags about how to print.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct OutputArgs {
    /// table, wide, json, yaml or name.
    #[arg(
        id = "output_format",
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub format: Format,
    /// Leave out the table header.
    #[arg(long)]
    pub no_headers: bool,
}

impl OutputArgs {
    /// Whether more columns are wanted.
    pub fn wide(&self) -> bool {
        self.format == Format::Wide
    }

    /// Prints a list of objects; the table is made only where one is wanted. `none` is said, on standard error, in place of
    /// an empty table.
    pub fn objects<K>(
        &self,
        ctx: &Ctx,
        objects: &[K],
        table: impl FnOnce() -> Table,
        none: &str,
    ) -> Result<(), PluginError>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        match self.format {
            Format::Table | Format::Wide if objects.is_empty() => ctx.say(none),
            Format::Table | Format::Wide => print(&table().fitted(ctx.stdout, !self.no_headers, ctx.width)),
            Format::Name => {
                let names: Vec<String> = objects.iter().map(|object| name(object) + "\n").collect();
                print(&names.concat())
            }
            Format::Json | Format::Yaml => {
                let items = values(objects)?;
                self.value(&json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}))
            }
        }
    }

    /// Prints one object; `words` is what people are told in place of it.
    pub fn object<K>(&self, object: &K, words: impl FnOnce() -> String) -> Result<(), PluginError>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        match self.format {
            Format::Table | Format::Wide => print(&words()),
            Format::Name => print(&format!("{}\n", name(object))),
            Format::Json | Format::Yaml => match values(std::slice::from_ref(object))?.first() {
                Some(value) => self.value(value),
                None => Ok(()),
            },
        }
    }

    /// Prints a value as YAML where that is asked for, else as JSON.
    pub fn value(&self, value: &Value) -> Result<(), PluginError> {
        match self.format {
            Format::Yaml => {
                let text = serde_saphyr::to_string(value);
                print(&text.map_err(|error| PluginError::new(format!("cannot write this as YAML: {error}")))?)
            }
            _ => print(&format!("{value:#}\n")),
        }
    }
}

/// `certificate.certcourier.io/api`.
pub fn name<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{}.{}/{}", K::kind(&()).to_lowercase(), K::group(&()), object.name_any())
}

/// The objects in JSON, as kubectl prints them.
pub fn values<K: Resource<DynamicType = ()> + Serialize>(objects: &[K]) -> Result<Vec<Value>, PluginError> {
    let values = objects.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>();
    let mut values = values.map_err(|error| PluginError::new(format!("cannot write this as JSON: {error}")))?;
    for metadata in values.iter_mut().filter_map(|value| value["metadata"].as_object_mut()) {
        // As kubectl without --show-managed-fields.
        metadata.remove("managedFields");
    }
    Ok(values)
}

/// Says what went wrong with one of several things, on standard error.
pub fn complain(error: &PluginError) {
    let _ = io::stderr().write_all(error.report().as_bytes());
}

/// Writes to standard output.
///
/// # Errors
/// [`PluginError::quiet`] where no one reads any more.
pub fn print(text: &str) -> Result<(), PluginError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(PluginError::from)
}
