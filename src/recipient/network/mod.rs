//! The network of a run: off until a key service is asked for the first time, then one runtime and one HTTP client for all
//! of them. Calls are bounded in time and tries, and counted.

mod clock;
#[cfg(feature = "http")]
pub mod http;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::{Outcome, held};
use crate::error::{Error, Kind, printable};
pub use clock::Clock;

/// A service that can't be connected within this time isn't there.
pub const CONNECT: Duration = Duration::from_secs(2);
/// A connected service answers within this time.
pub const REPLY: Duration = Duration::from_secs(10);
/// Tries of one call, the first included.
pub const TRIES: u32 = 3;
/// The pause before the second try; each further one is twice as long.
pub const PAUSE: Duration = Duration::from_millis(200);
/// A metadata server is next door, or there is none.
pub const METADATA: Duration = Duration::from_secs(1);

/// Why a service gave no answer of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The network isn't to be used.
    Offline,
    /// Nobody was reached: the name doesn't resolve, the connection is refused or takes too long.
    Unreachable(String),
    /// It broke off, or went on too long.
    Broken(String),
}

impl Trouble {
    /// In a sentence's middle.
    pub fn why(&self) -> String {
        match self {
            Trouble::Offline => "not asked: the network is switched off (--offline)".to_owned(),
            Trouble::Unreachable(why) | Trouble::Broken(why) => why.clone(),
        }
    }

    /// As the answer of an entry.
    pub fn outcome(self) -> Outcome {
        match self {
            Trouble::Unreachable(why) => Outcome::Unreachable { why },
            other => Outcome::Failed { why: other.why() },
        }
    }

    /// As the error of wrapping for `recipient`.
    pub fn error(self, recipient: &str) -> Error {
        let error = Error::new(Kind::Generic, format!("can't wrap the data key for {}: {}", printable(recipient), self.why()));
        error.hint(self.next())
    }

    /// What to do about it.
    pub fn next(&self) -> &'static str {
        match self {
            Trouble::Offline => "leave out --offline and KVEIL_OFFLINE; wrapping for this recipient needs its service",
            Trouble::Unreachable(_) => "check the network, the proxy variables and the endpoint variables; `kveil doctor` shows them",
            Trouble::Broken(_) => "try again; `kveil doctor --probe` shows whether the service answers at all",
        }
    }
}

/// The network as one run uses it.
#[derive(Default)]
pub struct Network {
    offline: bool,
    runtime: OnceLock<Result<Runtime, String>>,
    #[cfg(feature = "http")]
    client: OnceLock<Result<reqwest::Client, String>>,
    #[cfg(feature = "http")]
    direct_client: OnceLock<Result<reqwest::Client, String>>,
    calls: Mutex<BTreeMap<(&'static str, String), usize>>,
    clock: Arc<Clock>,
    exposed: Mutex<BTreeSet<String>>,
}

impl Network {
    /// A network that answers every call with [`Trouble::Offline`].
    pub fn offline() -> Network {
        Network { offline: true, ..Network::default() }
    }

    /// Whether it is switched off.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Whether nothing was set up yet: neither the runtime with its thread, nor a client with its certificates.
    pub fn is_idle(&self) -> bool {
        #[cfg(feature = "http")]
        let clients = self.client.get().is_some() || self.direct_client.get().is_some();
        #[cfg(not(feature = "http"))]
        let clients = false;
        self.runtime.get().is_none() && !clients
    }

    /// Waits for an answer. Any number of threads may wait at once; none of them may be inside the runtime.
    ///
    /// # Errors
    /// [`Trouble::Offline`]; [`Trouble::Broken`] if the system gives no thread.
    pub fn run<T>(&self, answer: impl Future<Output = T>) -> Result<T, Trouble> {
        if self.offline {
            return Err(Trouble::Offline);
        }
        let runtime = self.runtime.get_or_init(|| {
            let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("network").enable_all().build();
            runtime.map_err(|why| format!("the system gives no thread for the network: {why}"))
        });
        match runtime {
            Ok(runtime) => Ok(runtime.block_on(answer)),
            Err(why) => Err(Trouble::Broken(why.clone())),
        }
    }

    /// Notes a call of `service` (by its title) as `identity`, which never holds a token.
    pub fn count(&self, service: &'static str, identity: &str) {
        *held(&self.calls).entry((service, identity.to_owned())).or_default() += 1;
    }

    /// As whom services were called so far.
    pub fn callers(&self) -> Vec<String> {
        held(&self.calls).keys().map(|(_, identity)| printable(identity)).collect()
    }

    /// Notes a service that is asked without TLS, by its address.
    pub fn exposed(&self, address: &str) {
        held(&self.exposed).insert(address.to_owned());
    }

    /// Takes what a person should know of how services were asked.
    pub fn take_warnings(&self) -> Vec<String> {
        let line =
            |address: String| format!("{} is asked without TLS: whoever is on the way can read tokens and data keys", printable(&address));
        std::mem::take(&mut *held(&self.exposed)).into_iter().map(line).collect()
    }

    /// What the answers of services said of the time.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// How often each service was called as whom: `AWS KMS: 3 calls as …`.
    pub fn calls(&self) -> Vec<String> {
        let line = |((service, identity), count): (&(&str, String), &usize)| {
            format!("{service}: {count} call{} as {}", if *count == 1 { "" } else { "s" }, printable(identity))
        };
        held(&self.calls).iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_offline() {
        assert_eq!(Network::offline().run(async { 1 }), Err(Trouble::Offline));
        assert!(Network::offline().runtime.get().is_none());
    }

    #[test]
    fn many_threads_wait_at_once_on_one_runtime() {
        let network = Network::default();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..8)
                .map(|at| {
                    scope.spawn({
                        let network = &network;
                        move || {
                            network.run(async move {
                                tokio::time::sleep(PAUSE / 10).await;
                                at
                            })
                        }
                    })
                })
                .collect();
            let answers: Vec<_> = waiting.into_iter().map(|thread| thread.join().unwrap()).collect();
            assert_eq!(answers, (0..8).map(Ok).collect::<Vec<_>>());
        });
    }

    #[test]
    fn calls_are_counted_by_service_and_identity() {
        let network = Network::default();
        ["a", "b", "a"].iter().for_each(|identity| network.count("AWS KMS", identity));
        assert_eq!(network.calls(), ["AWS KMS: 2 calls as a", "AWS KMS: 1 call as b"]);
    }
}
