//! The line in stages: parse, encrypt (which includes verify), verify, decrypt; over a Secret of 3 and one of 10,000 values.
//!
//! `cargo bench --bench pipeline`
#![allow(missing_docs)] // the macros of criterion make public functions

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kveil::document::{Format, format_by_name};
use kveil::pipeline::{self, Plan};
use kveil::recipient::{Environment, Identities, RecipientSpec};
use kveil::select::Selection;
use std::hint::black_box;

const RECIPIENT: &str = "age1av6p2hqexw2pns6mrpvn75e4a6rcfc8qqu4zt6eatgrz94744d2qxdhljc";
const IDENTITY: &str = "AGE-SECRET-KEY-1F9GUPEV246P3K8YDDYMMXMXZQGWNT7KA2NFNVP2LCWZ0GFAH2YUS725UTY";

fn secret(values: usize) -> String {
    let mut text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: bench\ntype: Opaque\nstringData:\n".to_owned();
    for n in 0..values {
        text += &format!("  key-{n:06}: {:032x}-value\n", (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    }
    text
}

fn yaml() -> &'static dyn Format {
    format_by_name("yaml").expect("YAML is a format")
}

fn plan() -> Plan {
    Plan {
        groups: vec![vec![RecipientSpec { kind: "age", text: RECIPIENT.to_owned(), extra: Vec::new() }]],
        threshold: None,
        selection: Selection::new(kveil::metadata::SelectorKind::EncryptedRegex, "^(data|stringData)$").expect("a pattern"),
        mac_only_encrypted: false,
        indent: None,
        layout: true,
        lenient: false,
        now: "2026-01-01T00:00:00Z".to_owned(),
    }
}

fn identities() -> Identities {
    Identities::new(Environment::fixed([("SOPS_AGE_KEY", IDENTITY)]))
}

fn stages(c: &mut Criterion) {
    for values in [3, 10_000] {
        let plain = secret(values);
        let sealed = pipeline::encrypt(&yaml().parse(&plain).expect("YAML"), &plan(), &identities()).expect("encrypts").text;
        let mut group = c.benchmark_group(format!("{values} values"));
        group.throughput(Throughput::Bytes(plain.len() as u64));
        group.bench_function(BenchmarkId::from_parameter("parse"), |b| b.iter(|| yaml().parse(black_box(&plain)).expect("YAML")));
        group.bench_function(BenchmarkId::from_parameter("encrypt and verify"), |b| {
            b.iter_batched(
                || (yaml().parse(&plain).expect("YAML"), plan()),
                |(document, plan)| pipeline::encrypt(&document, &plan, &identities()).expect("encrypts"),
                BatchSize::LargeInput,
            );
        });
        group.bench_function(BenchmarkId::from_parameter("decrypt"), |b| {
            b.iter_batched(
                identities,
                |identities| pipeline::decrypt_text(black_box(&sealed), yaml(), &identities, &[], false).expect("decrypts"),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::from_parameter("second reading"), |b| {
            b.iter(|| yaml().second_reading(black_box(&sealed), &mut |event| drop(black_box(event))).expect("YAML"))
        });
        group.finish();
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
