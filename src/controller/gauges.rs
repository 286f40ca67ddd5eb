//! What there is, as metrics: requests by phase, and when certificates expire. Counted when someone reads the metrics,
//! from what the watches know anyway, so a series goes when its object does.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use kube::ResourceExt as _;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::watch::stores::Stores;
use crate::api::{Certificate, CertificateStatus, Phase, condition, words::ConditionType};
use crate::metrics::label;

/// The stores of all scopes that are worked on. Clones share it. Empty unless this replica leads.
#[derive(Clone, Default)]
pub(crate) struct Gauges(Arc<Mutex<Scopes>>);

#[derive(Default)]
struct Scopes {
    next: u64,
    stores: BTreeMap<u64, Stores>,
}

/// Takes its stores out again when it is dropped.
pub(crate) struct Counted {
    gauges: Gauges,
    number: u64,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauges.change(|scopes| scopes.stores.remove(&self.number));
    }
}

impl Gauges {
    /// Counts what is in these stores, for as long as the answer lives.
    pub(crate) fn count(&self, stores: &Stores) -> Counted {
        let number = self.change(|scopes| {
            scopes.next += 1;
            scopes.stores.insert(scopes.next, stores.clone());
            scopes.next
        });
        Counted { gauges: self.clone(), number }
    }

    fn change<R>(&self, change: impl FnOnce(&mut Scopes) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gauges")
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stores: Vec<Stores> = self.change(|scopes| scopes.stores.values().cloned().collect());
        if stores.is_empty() {
            return Ok(());
        }
        encode_requests(&mut encoder, &stores)?;
        let certificates: Vec<_> = stores.iter().flat_map(|stores| stores.certificates.state()).collect();
        let readable: Vec<&Certificate> = certificates.iter().filter_map(|guarded| guarded.0.as_ref().ok()).collect();
        encode_certificates(&mut encoder, &readable)
    }
}

fn encode_requests(encoder: &mut DescriptorEncoder<'_>, stores: &[Stores]) -> Result<(), fmt::Error> {
    let mut counts: BTreeMap<Phase, i64> = Phase::ALL.into_iter().map(|phase| (phase, 0)).collect();
    for stores in stores {
        for request in stores.requests.state() {
            if let Ok(request) = &request.0
                && !stores.archive.holds(request)
            {
                *counts.entry(request.phase()).or_default() += 1;
            }
        }
        stores.archive.count(|phase| *counts.entry(phase).or_default() += 1);
    }
    let help = "DownloadRequests by phase; from the leader";
    let mut metric = encoder.encode_descriptor("requests", help, None, MetricType::Gauge)?;
    for (phase, count) in counts {
        ConstGauge::new(count).encode(metric.encode_family(&[("phase", label(phase.name()))])?)?;
    }
    Ok(())
}

fn encode_certificates(encoder: &mut DescriptorEncoder<'_>, all: &[&Certificate]) -> Result<(), fmt::Error> {
    let help = "When the certificate of an environment expires, in Unix time; from the leader";
    let mut metric =
        encoder.encode_descriptor("certificate_expiration_timestamp_seconds", help, None, MetricType::Gauge)?;
    for certificate in all {
        let (namespace, name) = (certificate.namespace().unwrap_or_default(), certificate.name_any());
        for environment in certificate.status.iter().flat_map(|status| &status.environments) {
            let Some(not_after) = environment.not_after else { continue };
            let labels =
                [("namespace", namespace.as_str()), ("certificate", &name), ("environment", &environment.name)];
            ConstGauge::new(not_after.as_second()).encode(metric.encode_family(&labels)?)?;
        }
    }
    let help = "1 when every environment of the Certificate can be delivered, else 0; from the leader";
    let mut metric = encoder.encode_descriptor("certificate_ready", help, None, MetricType::Gauge)?;
    for certificate in all {
        let Some(status) = &certificate.status else { continue };
        let (namespace, name) = (certificate.namespace().unwrap_or_default(), certificate.name_any());
        let labels = [("namespace", namespace.as_str()), ("certificate", &name)];
        ConstGauge::new(i64::from(is_ready(status))).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn is_ready(status: &CertificateStatus) -> bool {
    condition::find_true(&status.conditions, ConditionType::Ready).is_some()
}
