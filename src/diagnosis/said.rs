//! What other programs say, or don't say, when kveil isn't reached: their messages name neither the flag nor the file to set.

/// A message that is known.
struct Known {
    /// All of these stand in the output.
    words: &'static [&'static str],
    /// What it means.
    what: &'static str,
    /// What to do.
    fix: &'static str,
}

/// What an output shows.
pub struct Explained {
    /// What happened.
    pub what: &'static str,
    /// What to do.
    pub fix: &'static str,
}

const FLAGS: &str = "kustomize build --enable-alpha-plugins --enable-exec DIR, or kveil build DIR, which needs no flags";

/// In the order in which they are told.
static KNOWN: &[Known] = &[
    Known { words: &["external plugins disabled"], what: "kustomize runs no plugin without its flags", fix: FLAGS },
    Known {
        words: &["unable to find plugin root"],
        what: "kustomize took the generator for a legacy plugin: it has no annotation config.kubernetes.io/function, and no plugin is installed",
        fix: "kveil kustomize install-legacy; or add the annotation",
    },
    Known {
        words: &["unknown flag: --enable-exec"],
        what: "kubectl has no flag for functions, and skips them in silence",
        fix: "kveil kustomize install-legacy, and kubectl kustomize --enable-alpha-plugins; or kveil build",
    },
    Known {
        words: &["couldn't execute function", "executable file not found"],
        what: "the program that the function names isn't in the PATH of kustomize",
        fix: "put kveil there: kveil install DIR; or give its whole path in the annotation",
    },
    Known {
        words: &["couldn't execute function", "permission denied"],
        what: "the program that the function names can't be run",
        fix: "chmod +x; files of a repository often arrive without that in a renderer: name one of the PATH",
    },
    Known {
        words: &["open secrets", "no such file or directory"],
        what: "Helm found no plugin for secrets:// and took the address for a file",
        fix: "kveil helm install-plugin, as the user and with the HELM_PLUGINS that Helm runs with",
    },
    Known {
        words: &["failed to load plugin", "unknown field \"apiVersion\""],
        what: "Helm 3 reads a folder with plugins of Helm 4, and so loses all its plugins",
        fix: "point HELM_PLUGINS to the folder of Helm 3; kveil helm install-plugin --uninstall --directory DIR takes kveil's own out",
    },
    Known {
        words: &["kveil-post-render", "not found"],
        what: "Helm found no post-renderer of this name",
        fix: "Helm 4: set HELM_PLUGINS to what kveil helm install-plugin printed; Helm 3: --post-renderer kveil --post-renderer-args helm --post-renderer-args post-render",
    },
    Known {
        words: &["plugin \"kveil-post-render\" exited with error"],
        what: "Helm 4 keeps to itself what a post-renderer says",
        fix: "set KVEIL_HELM_LOG=FILE, and run Helm again: the reason is written there",
    },
    Known {
        words: &["scheme", "not allowed", "secrets"],
        what: "Argo CD takes values files only from schemes that it is told of",
        fix: "helm.valuesFileSchemes in the ConfigMap argocd-cm: secrets, https",
    },
    Known {
        words: &["ENC[AES256_GCM,"],
        what: "ciphertext came out: functions were skipped, as kustomize and kubectl do without --enable-exec, and end with 0 all the same",
        fix: FLAGS,
    },
];

/// What an output shows. One without a word is what skipped generators leave.
pub fn explained(output: &str) -> Vec<Explained> {
    if output.trim().is_empty() {
        let what =
            "nothing was generated: functions were skipped, as kustomize and kubectl do without --enable-exec, and end with 0 all the same";
        return vec![Explained { what, fix: FLAGS }];
    }
    let fits = |known: &&Known| known.words.iter().all(|word| output.contains(word));
    KNOWN.iter().filter(fits).map(|known| Explained { what: known.what, fix: known.fix }).collect()
}
