//! Argo CD: what a directory is for it, and what its repo-server needs to render with kveil.

use crate::error::{Error, Kind, Result};

/// What a directory holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tool {
    /// A kustomization.
    Kustomize,
    /// A chart.
    Helm,
    /// Manifests.
    Directory,
}

/// All tools, by the names that `--tool` takes.
pub const TOOLS: [(&str, Tool); 3] = [("kustomize", Tool::Kustomize), ("helm", Tool::Helm), ("directory", Tool::Directory)];

/// The names of a kustomization.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What a directory with files of these names is.
///
/// # Errors
/// `Generic` (1) if it could be two things.
pub fn tool<'n>(names: impl Iterator<Item = &'n str>) -> Result<Tool> {
    let (mut kustomize, mut helm) = (false, false);
    for name in names {
        kustomize |= KUSTOMIZATIONS.contains(&name);
        helm |= name == "Chart.yaml";
    }
    match (kustomize, helm) {
        (true, true) => {
            let error = Error::new(Kind::Generic, "the directory holds a kustomization and a chart");
            Err(error.hint("say which: --tool kustomize or --tool helm, in the plugin's generate command"))
        }
        (true, false) => Ok(Tool::Kustomize),
        (false, true) => Ok(Tool::Helm),
        (false, false) => Ok(Tool::Directory),
    }
}

/// Whether Argo CD takes a file for manifests, by its name; hidden ones are somebody's settings (`.sops.yaml`).
pub fn is_manifest(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    !name.starts_with('.') && matches!(ending, Some("yaml" | "yml" | "json"))
}

/// The mark by which Argo CD leaves a file out.
pub const SKIPPED: &str = "+argocd:skip-file-rendering";

/// What the plugin is made of.
pub struct Plugin<'p> {
    /// Its name, and that of its sidecar.
    pub name: &'p str,
    /// Where Argo CD is.
    pub namespace: &'p str,
    /// The image that holds kveil.
    pub image: &'p str,
    /// Argo CD's own image, with kustomize and helm: the version that runs there.
    pub argocd_image: &'p str,
    /// The Secret with the age identities, as `keys.txt`; none where the key lies with a cloud.
    pub key_secret: Option<&'p str>,
}

impl Plugin<'_> {
    /// The ConfigMap with the plugin, for `kubectl apply`.
    pub fn config_map(&self) -> String {
        let Plugin { name, namespace, .. } = self;
        format!(
            r#"apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}-plugin
  namespace: {namespace}
data:
  plugin.yaml: |
    apiVersion: argoproj.io/v1alpha1
    kind: ConfigManagementPlugin
    metadata:
      name: {name}
    spec:
      # Applications whose directory has encrypted files are rendered by it, without being told.
      discover:
        find:
          command: [kveil, argocd, discover]
      generate:
        command: [kveil, argocd, generate]
"#
        )
    }

    /// The patch of Argo CD's repo-server, for `kubectl patch --patch-file`.
    pub fn patch(&self) -> String {
        let Plugin { name, image, argocd_image, .. } = self;
        let mut text = format!(
            r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: argocd-repo-server
  namespace: {namespace}
spec:
  template:
    spec:
      initContainers:
      - name: {name}-install
        image: {image}
        command: [kveil, install, /custom-tools]
        securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
        volumeMounts:
        - {{name: {name}-tools, mountPath: /custom-tools}}
      containers:
      - name: {name}
        image: {argocd_image}
        command: [/var/run/argocd/argocd-cmp-server]
        securityContext:
          {{runAsNonRoot: true, runAsUser: 999, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
        env:
        # What helm dependency build, as the plugin's init command, keeps.
        - {{name: HELM_CACHE_HOME, value: /tmp/helm/cache}}
        - {{name: HELM_CONFIG_HOME, value: /tmp/helm/config}}
"#,
            namespace = self.namespace
        );
        if self.key_secret.is_some() {
            text.push_str("        - {name: SOPS_AGE_KEY_FILE, value: /kveil-key/keys.txt}\n");
        }
        text.push_str(&format!(
            r#"        volumeMounts:
        - {{name: var-files, mountPath: /var/run/argocd}}
        - {{name: plugins, mountPath: /home/argocd/cmp-server/plugins}}
        - {{name: {name}-plugin, mountPath: /home/argocd/cmp-server/config/plugin.yaml, subPath: plugin.yaml}}
        - {{name: {name}-tools, mountPath: /usr/local/bin/kveil, subPath: kveil}}
        - {{name: {name}-tmp, mountPath: /tmp}}
"#
        ));
        if self.key_secret.is_some() {
            text.push_str(&format!("        - {{name: {name}-key, mountPath: /kveil-key, readOnly: true}}\n"));
        }
        text.push_str(&format!(
            r#"      volumes:
      - {{name: {name}-plugin, configMap: {{name: {name}-plugin}}}}
      - {{name: {name}-tools, emptyDir: {{}}}}
      # In memory: kveil keeps plaintext nowhere else.
      - {{name: {name}-tmp, emptyDir: {{medium: Memory}}}}
"#
        ));
        if let Some(secret) = self.key_secret {
            // The files are root's: 0440 would keep them from user 999, as the pod has no fsGroup. Only this container has the mount.
            // 292 is 0444: JSON has no octal numbers, and YAML has two ways to write them.
            text.push_str(&format!("      - {{name: {name}-key, secret: {{secretName: {secret}, defaultMode: 292}}}}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_known_by_its_files() {
        let of = |names: &[&str]| tool(names.iter().copied());
        assert_eq!(of(&["a.yaml", "Kustomization"]).unwrap(), Tool::Kustomize);
        assert_eq!(of(&["Chart.yaml", "values.yaml"]).unwrap(), Tool::Helm);
        assert_eq!(of(&["a.yaml"]).unwrap(), Tool::Directory);
        assert!(of(&["Chart.yaml", "kustomization.yml"]).is_err());
        assert!(is_manifest("a.json") && !is_manifest(".sops.yaml") && !is_manifest("README.md"));
    }
}
