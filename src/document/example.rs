//! What an editor shows for a file that doesn't exist yet: the examples of SOPS, as it prints them.

/// The example for the format of this name.
pub fn of(format: &str) -> &'static str {
    match format {
        "json" => JSON,
        "dotenv" => DOTENV,
        "ini" => INI,
        "binary" => "Welcome to SOPS! Edit this file as you please!",
        _ => YAML,
    }
}

const YAML: &str = "\
hello: Welcome to SOPS! Edit this file as you please!
example_key: example_value
# Example comment
example_array:
    - example_value1
    - example_value2
example_number: 1234.56789
example_booleans:
    - true
    - false
";

const JSON: &str = r#"{
	"hello": "Welcome to SOPS! Edit this file as you please!",
	"example_key": "example_value",
	"example_array": [
		"example_value1",
		"example_value2"
	],
	"example_number": 1234.56789,
	"example_booleans": [
		true,
		false
	]
}
"#;

const DOTENV: &str = "\
# This is an example file.
hello=Welcome to SOPS! Edit this file as you please!
example_key=example_value
example_multiline=foo\\nbar\\nbaz
";

const INI: &str = "\
; This is an example file.
[Welcome!]
hello       = Welcome to SOPS! Edit this file as you please!
example_key = example_value
";

#[cfg(test)]
mod tests {
    #[test]
    fn every_format_reads_its_example() {
        for format in crate::document::FORMATS {
            assert!(format.parse_plain(super::of(format.name())).is_ok(), "{}", format.name());
        }
    }
}
