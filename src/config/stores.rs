//! `stores:`, the layout of what is written.

use super::reader::{Field, Reader};

const FIELDS: [&str; 5] = ["dotenv", "ini", "json_binary", "json", "yaml"];
const INDENT: &str = "indent";
/// What yaml.v3 can indent by; anything else it takes for 2.
const YAML_INDENTS: std::ops::RangeInclusive<usize> = 2..=9;
/// More is a slip of the hand.
const MAX_JSON_INDENT: i64 = 64;

/// Indentation by format; none where the file says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stores {
    /// Blanks a level in YAML.
    pub yaml_indent: Option<usize>,
    /// Blanks a level in JSON; −1 is a tab.
    pub json_indent: Option<i64>,
    /// Blanks a level in the JSON around a binary file; −1 is a tab.
    pub json_binary_indent: Option<i64>,
}

impl Stores {
    /// Blanks a level in a format; [`None`] where it says nothing, or a tab.
    pub fn indent_of(&self, format: &str) -> Option<usize> {
        let columns = |number: Option<i64>| number.and_then(|number| usize::try_from(number).ok());
        match format {
            "yaml" => self.yaml_indent,
            "json" => columns(self.json_indent),
            "binary" => columns(self.json_binary_indent),
            _ => None,
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_, '_>, field: &Field<'_>) -> Stores {
    let mut stores = Stores::default();
    let fields = reader.fields(field.value, field.name);
    reader.check_names(&fields, &FIELDS, "in stores");
    for field in &fields {
        match field.name {
            "yaml" => stores.yaml_indent = indent(reader, field).and_then(|(at, number)| yaml_indent(reader, &at, number)),
            "json" => stores.json_indent = indent(reader, field).and_then(|(at, number)| json_indent(reader, &at, number)),
            "json_binary" => stores.json_binary_indent = indent(reader, field).and_then(|(at, number)| json_indent(reader, &at, number)),
            "dotenv" | "ini" => {
                let fields = reader.fields(field.value, field.name);
                reader.check_names(&fields, &[], &format!("in the store {}", field.name));
            }
            _ => {}
        }
    }
    stores
}

fn indent<'d>(reader: &mut Reader<'d, '_>, store: &Field<'_>) -> Option<(Field<'d>, i64)> {
    let fields = reader.fields(store.value, store.name);
    reader.check_names(&fields, &[INDENT], &format!("in the store {}", store.name));
    let field = fields.into_iter().find(|field| field.name == INDENT)?;
    let number = reader.int(&field)?;
    Some((field, number))
}

/// 0 is SOPS's word for its default.
fn yaml_indent(reader: &mut Reader<'_, '_>, at: &Field<'_>, number: i64) -> Option<usize> {
    match number {
        0 => None,
        ..0 => {
            refuse(reader, at, "a negative indent for YAML, expected 2 to 9");
            None
        }
        _ => Some(usize::try_from(number).ok().filter(|number| YAML_INDENTS.contains(number)).unwrap_or(2)),
    }
}

fn json_indent(reader: &mut Reader<'_, '_>, at: &Field<'_>, number: i64) -> Option<i64> {
    if (-1..=MAX_JSON_INDENT).contains(&number) {
        return Some(number);
    }
    refuse(reader, at, &format!("an indent for JSON out of range, expected -1 (a tab) to {MAX_JSON_INDENT}"));
    None
}

/// Layout only: SOPS fails for files of this format, others don't notice.
fn refuse(reader: &mut Reader<'_, '_>, at: &Field<'_>, message: &str) {
    reader.find(at.value, message.to_owned(), Vec::new());
}
