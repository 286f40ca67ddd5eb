//! The way through the API server, as `kubectl port-forward` goes: from a port of this machine to a pod of the server.
//!
//! Inside it is the same HTTPS, so the API server sees neither token nor file. The certificate is checked against the
//! name that it is for, not against this machine's.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use k8s_openapi::{
    api::core::v1::{Pod, Service, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Portforwarder},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use crate::cluster::error::{During as _, in_one_line};
use crate::plugin::{context::Ctx, error::PluginError};
use crate::transport::of_place;

/// What to do instead.
const INSTEAD: &str = "say where the server is with --server URL (or CERTCOURIER_SERVER), or ask your administrator \
  for an external URL; --operator-namespace says where it runs";

/// A port of this machine that leads to a pod. Ends when dropped.
pub struct Forward {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The name that the server's certificate is for.
    pub host: String,
    /// `https`, or `http` where the Service says that TLS ends elsewhere.
    pub scheme: &'static str,
    /// The pod.
    pub pod: String,
    task: AbortHandle,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Forward {
    /// Finds a pod that is ready behind the Service and opens the way to it.
    pub async fn open(ctx: &Ctx, service: &str) -> Result<Self, PluginError> {
        let namespace = ctx.global.operator_namespace();
        let found = target(ctx, namespace, service).await.map_err(|error| error.next(INSTEAD))?;
        let pods: Api<Pod> = Api::namespaced(ctx.raw().clone(), namespace);
        // The first connection is opened here, so that a refusal is one in words and not a broken connection.
        let first = pods
            .portforward(&found.pod, &[found.port])
            .await
            .during("forward a port to", || format!("Pod {namespace}/{}", found.pod))
            .map_err(|error| PluginError::from(error).next(INSTEAD))?;
        let failed =
            |error: io::Error| PluginError::new(format!("cannot open a port on this machine: {}", of_place(&error)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (pod, port) = (found.pod.clone(), found.port);
        let task = tokio::spawn(async move { accept(listener, pods, pod, port, first).await }).abort_handle();
        let host = format!("{service}.{namespace}.svc");
        Ok(Self { address, host, scheme: found.scheme, pod: found.pod, task })
    }
}

async fn accept(listener: TcpListener, pods: Api<Pod>, pod: String, port: u16, first: Portforwarder) {
    let mut next = Some(first);
    while let Ok((local, _)) = listener.accept().await {
        let forwarder = match next.take() {
            Some(first) => Ok(first),
            None => pods.portforward(&pod, &[port]).await,
        };
        match forwarder {
            Ok(forwarder) => drop(tokio::spawn(pipe(local, forwarder, port))),
            Err(error) => tracing::warn!(error = in_one_line(&error), pod, "the API server does not forward"),
        }
    }
}

async fn pipe(mut local: TcpStream, mut forwarder: Portforwarder, port: u16) {
    let Some(mut remote) = forwarder.take_stream(port) else { return };
    if let Err(error) = copy_bidirectional(&mut local, &mut remote).await {
        tracing::debug!(%error, "a forwarded connection broke");
    }
    drop(remote);
    if let Err(error) = forwarder.join().await {
        tracing::debug!(%error, "a forwarded connection broke");
    }
}

/// A port of a pod.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    pod: String,
    port: u16,
    scheme: &'static str,
}

async fn target(ctx: &Ctx, namespace: &str, name: &str) -> Result<Target, PluginError> {
    let reads = ctx.clients.reads();
    let object = || format!("Service {namespace}/{name}");
    let services: Api<Service> = Api::namespaced(reads.clone(), namespace);
    let service = services.get_opt(name).await.during("read", object)?;
    let service = service.ok_or_else(|| PluginError::new(format!("there is no {}", object())))?;
    let selector = selector(&service).ok_or_else(|| PluginError::new(format!("{} selects no pods", object())))?;
    let pods: Api<Pod> = Api::namespaced(reads.clone(), namespace);
    let pods = pods.list(&ListParams::default().labels(&selector)).await;
    let pods = pods.during("list", || format!("Pods of namespace {namespace}"))?;
    choose(&service, &pods.items).ok_or_else(|| PluginError::new(format!("no pod behind {} is ready", object())))
}

fn selector(service: &Service) -> Option<String> {
    let labels = service.spec.as_ref()?.selector.as_ref().filter(|labels| !labels.is_empty())?;
    Some(labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","))
}

/// The first pod that is ready, and its port behind the Service's port `https`, else `http`, else the first one.
fn choose(service: &Service, pods: &[Pod]) -> Option<Target> {
    let ports = service.spec.as_ref()?.ports.as_deref().unwrap_or_default();
    let named = |name: &str| ports.iter().find(|port| port.name.as_deref() == Some(name));
    let port = named("https").or_else(|| named("http")).or_else(|| ports.first())?;
    let plain = [port.name.as_deref(), port.app_protocol.as_deref()].contains(&Some("http"));
    let scheme = if plain { "http" } else { "https" };
    let target = |pod: &Pod| Some(Target { pod: pod.name_any(), port: port_of(port, pod)?, scheme });
    pods.iter().filter(|pod| is_ready(pod)).find_map(target)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none() && conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

fn port_of(port: &ServicePort, pod: &Pod) -> Option<u16> {
    let number = match port.target_port.as_ref() {
        None => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => {
            let containers = pod.spec.as_ref()?.containers.iter();
            let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
            ports.find(|port| port.name.as_ref() == Some(name))?.container_port
        }
    };
    u16::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(ports: &Value) -> Service {
        let spec = json!({"selector": {"app": "certcourier", "part": "server"}, "ports": ports});
        serde_json::from_value(json!({"metadata": {"name": "certcourier"}, "spec": spec})).unwrap()
    }

    fn pod(name: &str, ready: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "controller"}, {"name": "server", "ports": [{"name": "api", "containerPort": 8443}]}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    #[test]
    fn the_first_ready_pod_is_reached_at_the_port_behind_https() {
        let service = service(&json!([
            {"name": "metrics", "port": 9090, "targetPort": 9090},
            {"name": "https", "port": 443, "targetPort": "api"},
        ]));
        assert_eq!(selector(&service).as_deref(), Some("app=certcourier,part=server"));
        let leaving: Pod = serde_json::from_value(json!({
            "metadata": {"name": "leaving", "deletionTimestamp": "2026-11-22T08:00:00Z"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .unwrap();
        let pods = [pod("a", "False"), leaving, pod("b", "True"), pod("c", "True")];
        assert_eq!(choose(&service, &pods), Some(Target { pod: "b".into(), port: 8443, scheme: "https" }));
        assert_eq!(choose(&service, &pods[..2]), None);
    }

    #[test]
    fn a_port_is_a_number_a_name_or_the_services_own() {
        let reached = |ports: Value| choose(&service(&ports), &[pod("a", "True")]).map(|t| (t.port, t.scheme));
        assert_eq!(reached(json!([{"port": 8443}])), Some((8443, "https")));
        assert_eq!(reached(json!([{"name": "http", "port": 80, "targetPort": 8080}])), Some((8080, "http")));
        let plain = json!([{"name": "api", "port": 80, "targetPort": "api", "appProtocol": "http"}]);
        assert_eq!(reached(plain), Some((8443, "http")));
        assert_eq!(reached(json!([{"port": 443, "targetPort": "unknown"}])), None);
        assert_eq!(reached(json!([])), None);
    }
}
