#include "discovery/kubernetes/kubernetes_discoverer.h"

#include <cstdlib>

#include "discovery/kubernetes/credentials.h"
#include "discovery/kubernetes/groups.h"
#include "testing/fake_api.h"

namespace narthex {
namespace {

using testing::Answer;
using testing::DiscoveryTest;

constexpr std::string_view kServer = "http://k8s";

// A list with one page.
std::string List(std::string_view items, std::string_view version = "100") {
  return fmt::format(R"({{"metadata": {{"resourceVersion": "{}"}}, "items": [{}]}})", version,
                     items);
}
std::string Event(std::string_view type, std::string_view object) {
  std::string line = fmt::format(R"({{"type": "{}", "object": {}}})", type, object);
  std::erase(line, '\n');
  return line + "\n";
}

class KubernetesTest : public DiscoveryTest {
 protected:
  KubernetesTest() { RegisterKubernetesDiscovery(registry); }

  // Serves the list of a resource, and keeps its watch open. `path` as in "/api/v1/pods".
  void Serve(const std::string& path, std::string_view items) {
    const std::string list = List(items);
    api.Serve(fmt::format("GET {}{}", kServer, path),
              [list](const FetchRequest& request) -> testing::FakeApi::Reply {
                if (request.on_data) return std::nullopt;
                return Answer(list);
              });
  }
  static std::string Watch(const std::string& path) {
    return fmt::format("GET {}{}?allowWatchBookmarks=true", kServer, path);
  }
  void Push(const std::string& path, const std::string& lines) {
    EXPECT_TRUE(api.Push(Watch(path), lines));
    loop.RunDue();
  }
  void StartRole(const std::string& role, const std::string& more = "") {
    Start(fmt::format("kubernetes_sd_configs:\n- api_server: {}\n  role: {}\n{}", kServer, role,
                      more));
  }
  double Events(const std::string& role, const std::string& event) {
    return metrics.Get("prometheus_sd_kubernetes_events_total", {{"role", role}, {"event", event}});
  }
  double Failures() { return metrics.Get("prometheus_sd_kubernetes_failures_total", {}); }
};

constexpr std::string_view kPod = R"({
  "metadata": {"name": "web-1", "namespace": "shop", "uid": "u1", "resourceVersion": "5",
    "labels": {"app/name": "web"}, "annotations": {"note": "x"},
    "managedFields": [{"manager": "kubectl"}],
    "ownerReferences": [{"kind": "Other", "name": "o"},
                        {"kind": "ReplicaSet", "name": "web-rs", "controller": true}]},
  "spec": {"nodeName": "n1",
    "containers": [{"name": "c", "image": "img:1", "env": [{"name": "SECRET"}],
                    "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"},
                              {"name": "dbg", "containerPort": 81, "protocol": "TCP"}]},
                   {"name": "plain", "image": "img:2"}],
    "initContainers": [{"name": "init", "image": "img:3",
                        "ports": [{"containerPort": 82, "protocol": "UDP"}]}]},
  "status": {"podIP": "10.1.0.1", "hostIP": "192.0.2.1", "phase": "Running",
    "conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [{"name": "c", "containerID": "docker://c1"}],
    "initContainerStatuses": [{"name": "init", "containerID": "docker://i1"}]}})";

constexpr std::string_view kPodGroup =
    " kubernetes_pod_annotation_note=x kubernetes_pod_annotationpresent_note=true"
    " kubernetes_pod_controller_kind=ReplicaSet kubernetes_pod_controller_name=web-rs"
    " kubernetes_pod_host_ip=192.0.2.1 kubernetes_pod_ip=10.1.0.1"
    " kubernetes_pod_label_app_name=web kubernetes_pod_labelpresent_app_name=true"
    " kubernetes_pod_name=web-1 kubernetes_pod_node_name=n1 kubernetes_pod_phase=Running"
    " kubernetes_pod_ready=true kubernetes_pod_uid=u1";

TEST_F(KubernetesTest, PodsGiveATargetForEachPortOfEachContainer) {
  Serve("/api/v1/pods", std::string(kPod) + R"(, {"metadata": {"name": "new", "namespace": "shop"},
    "status": {"phase": "Pending"}})");
  StartRole("pod");
  EXPECT_EQ(
      Seen(),
      "pod/shop/web-1 {kubernetes_namespace=shop" + std::string(kPodGroup) +
          "}\n"
          "  10.1.0.1:80 kubernetes_pod_container_id=docker://c1"
          " kubernetes_pod_container_image=img:1 kubernetes_pod_container_init=false"
          " kubernetes_pod_container_name=c kubernetes_pod_container_port_name=http"
          " kubernetes_pod_container_port_number=80 kubernetes_pod_container_port_protocol=TCP\n"
          "  10.1.0.1:81 kubernetes_pod_container_id=docker://c1"
          " kubernetes_pod_container_image=img:1 kubernetes_pod_container_init=false"
          " kubernetes_pod_container_name=c kubernetes_pod_container_port_name=dbg"
          " kubernetes_pod_container_port_number=81 kubernetes_pod_container_port_protocol=TCP\n"
          "  10.1.0.1 kubernetes_pod_container_id= kubernetes_pod_container_image=img:2"
          " kubernetes_pod_container_init=false kubernetes_pod_container_name=plain\n"
          "  10.1.0.1:82 kubernetes_pod_container_id=docker://i1"
          " kubernetes_pod_container_image=img:3 kubernetes_pod_container_init=true"
          " kubernetes_pod_container_name=init kubernetes_pod_container_port_name="
          " kubernetes_pod_container_port_number=82 kubernetes_pod_container_port_protocol=UDP\n");
  EXPECT_EQ(Events("pod", "add"), 2);
  EXPECT_EQ(updates, 1) << "one report for the whole list";
}

TEST_F(KubernetesTest, AttachesOwnersNodesAndNamespacesAndFollowsTheirChanges) {
  Serve("/api/v1/namespaces/shop/pods", kPod);
  Serve("/api/v1/nodes", R"({"metadata": {"name": "n1", "labels": {"zone": "a"}}})");
  Serve("/api/v1/namespaces", R"({"metadata": {"name": "shop", "labels": {"team": "t1"}}})");
  Serve("/apis/apps/v1/namespaces/shop/replicasets", R"({"metadata": {"name": "web-rs",
      "namespace": "shop",
      "ownerReferences": [{"kind": "Deployment", "name": "web", "controller": true}]}})");
  StartRole("pod",
            "  namespaces: {names: [shop]}\n"
            "  attach_metadata: {node: true, namespace: true, deployment: true}");
  ASSERT_EQ(groups.size(), 1U);
  const auto label = [&](const std::string& name) {
    const TextMap& labels = groups.at("pod/shop/web-1")->labels;
    const auto found = labels.find("__meta_kubernetes_" + name);
    return found == labels.end() ? "-" : found->second;
  };
  EXPECT_EQ(label("pod_deployment_name"), "web");
  EXPECT_EQ(label("node_name"), "n1");
  EXPECT_EQ(label("node_label_zone"), "a");
  EXPECT_EQ(label("node_labelpresent_zone"), "true");
  EXPECT_EQ(label("namespace_label_team"), "t1");
  EXPECT_EQ(label("node_provider_id"), "-");

  const int before = updates;
  // A heartbeat of the node changes nothing that shows.
  Push("/api/v1/nodes", Event("MODIFIED", R"({"metadata": {"name": "n1", "resourceVersion": "200",
      "labels": {"zone": "a"}}, "status": {"images": []}})"));
  EXPECT_EQ(updates, before);
  Push("/api/v1/nodes", Event("MODIFIED", R"({"metadata": {"name": "n1", "resourceVersion": "201",
      "labels": {"zone": "b"}}})"));
  EXPECT_EQ(label("node_label_zone"), "b");
  Push("/api/v1/namespaces",
       Event("MODIFIED", R"({"metadata": {"name": "shop", "labels": {"team": "t2"}}})"));
  EXPECT_EQ(label("namespace_label_team"), "t2");
  Push("/apis/apps/v1/namespaces/shop/replicasets",
       Event("DELETED", R"({"metadata": {"name": "web-rs", "namespace": "shop"}})"));
  EXPECT_EQ(label("pod_deployment_name"), "-");
  Push("/api/v1/nodes", Event("DELETED", R"({"metadata": {"name": "n1"}})"));
  EXPECT_TRUE(groups.empty()) << "pods on nodes that are not selected are left out";
}

TEST_F(KubernetesTest, AttachesJobs) {
  Serve("/api/v1/pods", R"({"metadata": {"name": "p", "namespace": "ns",
      "ownerReferences": [{"kind": "Job", "name": "j", "controller": true}]},
      "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": {"podIP": "10.0.0.1"}})");
  Serve("/apis/batch/v1/jobs", R"({"metadata": {"name": "j", "namespace": "ns",
      "ownerReferences": [{"kind": "CronJob", "name": "nightly", "controller": true}]}})");
  StartRole("pod", "  attach_metadata: {job: true, cronjob: true}");
  const TextMap& labels = groups.at("pod/ns/p")->labels;
  EXPECT_EQ(labels.at("__meta_kubernetes_pod_job_name"), "j");
  EXPECT_EQ(labels.at("__meta_kubernetes_pod_cronjob_name"), "nightly");
  EXPECT_EQ(labels.at("__meta_kubernetes_pod_ready"), "unknown");
}

TEST_F(KubernetesTest, EndpointsAreJoinedWithServicesAndPods) {
  Serve("/api/v1/endpoints", R"({"metadata": {"name": "web", "namespace": "shop"}, "subsets": [
      {"addresses": [{"ip": "10.1.0.1", "nodeName": "n1",
                      "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "shop"}}],
       "notReadyAddresses": [{"ip": "10.1.0.9", "hostname": "h9"}],
       "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}]})");
  Serve("/api/v1/services",
        R"({"metadata": {"name": "web", "namespace": "shop", "labels": {"tier": "front"}}})");
  Serve("/api/v1/pods", kPod);
  StartRole("endpoints");
  const std::string pod(kPodGroup);
  EXPECT_EQ(
      Seen(),
      "endpoints/shop/web {kubernetes_endpoints_name=web kubernetes_namespace=shop"
      " kubernetes_service_label_tier=front kubernetes_service_labelpresent_tier=true"
      " kubernetes_service_name=web}\n"
      "  10.1.0.1:80 kubernetes_endpoint_address_target_kind=Pod"
      " kubernetes_endpoint_address_target_name=web-1 kubernetes_endpoint_node_name=n1"
      " kubernetes_endpoint_port_name=http kubernetes_endpoint_port_protocol=TCP"
      " kubernetes_endpoint_ready=true"
      " kubernetes_pod_annotation_note=x kubernetes_pod_annotationpresent_note=true"
      " kubernetes_pod_container_image=img:1 kubernetes_pod_container_init=false"
      " kubernetes_pod_container_name=c kubernetes_pod_container_port_name=http"
      " kubernetes_pod_container_port_number=80 kubernetes_pod_container_port_protocol=TCP" +
          pod.substr(pod.find(" kubernetes_pod_controller_kind")) +
          "\n"
          "  10.1.0.9:80 kubernetes_endpoint_hostname=h9 kubernetes_endpoint_port_name=http"
          " kubernetes_endpoint_port_protocol=TCP kubernetes_endpoint_ready=false\n"
          "  10.1.0.1:81 kubernetes_pod_annotation_note=x "
          "kubernetes_pod_annotationpresent_note=true"
          " kubernetes_pod_container_image=img:1 kubernetes_pod_container_init=false"
          " kubernetes_pod_container_name=c kubernetes_pod_container_port_name=dbg"
          " kubernetes_pod_container_port_number=81 kubernetes_pod_container_port_protocol=TCP" +
          pod.substr(pod.find(" kubernetes_pod_controller_kind")) +
          "\n"
          "  10.1.0.1:82 kubernetes_pod_annotation_note=x "
          "kubernetes_pod_annotationpresent_note=true"
          " kubernetes_pod_container_image=img:3 kubernetes_pod_container_init=true"
          " kubernetes_pod_container_name=init kubernetes_pod_container_port_name="
          " kubernetes_pod_container_port_number=82 kubernetes_pod_container_port_protocol=UDP" +
          pod.substr(pod.find(" kubernetes_pod_controller_kind")) + "\n");

  Push("/api/v1/services",
       Event("DELETED", R"({"metadata": {"name": "web", "namespace": "shop"}})"));
  EXPECT_FALSE(groups.at("endpoints/shop/web")->labels.contains("__meta_kubernetes_service_name"));
  std::string done(kPod);
  done.replace(done.find("Running"), 7, "Failed!");
  done.replace(done.find("\"5\""), 3, "\"6\"");
  Push("/api/v1/pods", Event("MODIFIED", done));
  EXPECT_THAT(Seen(), ::testing::HasSubstr("kubernetes_pod_phase=Failed!"));
  Push("/api/v1/endpoints",
       Event("DELETED", R"({"metadata": {"name": "web", "namespace": "shop"}})"));
  EXPECT_TRUE(groups.empty());
  EXPECT_EQ(Events("endpoints", "add"), 1);
  EXPECT_EQ(Events("endpoints", "delete"), 1);
  EXPECT_EQ(Events("service", "delete"), 1);
  EXPECT_EQ(Events("pod", "update"), 1);
}

TEST_F(KubernetesTest, EndpointSlices) {
  Serve("/apis/discovery.k8s.io/v1/endpointslices", R"({
      "metadata": {"name": "web-x", "namespace": "shop",
                   "labels": {"kubernetes.io/service-name": "web"}},
      "addressType": "IPv4",
      "ports": [{"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "h2c"}, {}],
      "endpoints": [{"addresses": ["10.2.0.1"], "hostname": "h", "nodeName": "n1", "zone": "z1",
        "conditions": {"ready": true, "serving": false}, "deprecatedTopology": {"rack/no": "7"},
        "targetRef": {"kind": "Node", "name": "n2"}}]},
      {"metadata": {"name": "web-6", "namespace": "shop",
                   "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv6",
       "ports": [{"port": 80}], "endpoints": [{"addresses": ["2001:db8::1"]}]})");
  Serve("/api/v1/services", R"({"metadata": {"name": "web", "namespace": "shop"},
      "spec": {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"]}})");
  Serve("/api/v1/pods", "");
  Serve("/api/v1/nodes", R"({"metadata": {"name": "n2"}})");
  StartRole("endpointslice", "  attach_metadata: {node: true}");
  const std::string endpoint =
      " kubernetes_endpointslice_address_target_kind=Node"
      " kubernetes_endpointslice_address_target_name=n2"
      " kubernetes_endpointslice_endpoint_conditions_ready=true"
      " kubernetes_endpointslice_endpoint_conditions_serving=false"
      " kubernetes_endpointslice_endpoint_hostname=h"
      " kubernetes_endpointslice_endpoint_node_name=n1"
      " kubernetes_endpointslice_endpoint_topology_present_rack_no=true"
      " kubernetes_endpointslice_endpoint_topology_rack_no=7"
      " kubernetes_endpointslice_endpoint_zone=z1";
  EXPECT_EQ(Seen(),
            "endpointslice/shop/web-x {kubernetes_endpointslice_address_type=IPv4"
            " kubernetes_endpointslice_label_kubernetes_io_service_name=web"
            " kubernetes_endpointslice_labelpresent_kubernetes_io_service_name=true"
            " kubernetes_endpointslice_name=web-x kubernetes_namespace=shop"
            " kubernetes_service_name=web}\n"
            "  10.2.0.1:80" +
                endpoint.substr(0, endpoint.size()) +
                " kubernetes_endpointslice_port=80 kubernetes_endpointslice_port_app_protocol=h2c"
                " kubernetes_endpointslice_port_name=http"
                " kubernetes_endpointslice_port_protocol=TCP kubernetes_node_name=n2\n"
                "  10.2.0.1" +
                endpoint + " kubernetes_node_name=n2\n");
}

TEST_F(KubernetesTest, ServicesIngressesAndNodes) {
  Serve("/api/v1/services", R"(
      {"metadata": {"name": "a", "namespace": "s"}, "spec": {"type": "ClusterIP",
       "clusterIP": "10.9.0.1", "ports": [{"name": "p", "port": 1, "protocol": "TCP"}]}},
      {"metadata": {"name": "b", "namespace": "s"}, "spec": {"type": "ExternalName",
       "externalName": "x.example", "ports": [{"port": 2, "protocol": "UDP"}]}},
      {"metadata": {"name": "c", "namespace": "s"}, "spec": {"type": "LoadBalancer",
       "clusterIP": "10.9.0.3", "loadBalancerIP": "old", "ports": [{"port": 3}]},
       "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"hostname": "h"},
                                               {"ip": "2.2.2.2"}]}}})");
  StartRole("service");
  EXPECT_EQ(Seen(),
            "svc/s/a {kubernetes_namespace=s kubernetes_service_name=a}\n"
            "  a.s.svc:1 kubernetes_service_cluster_ip=10.9.0.1 kubernetes_service_port_name=p"
            " kubernetes_service_port_number=1 kubernetes_service_port_protocol=TCP"
            " kubernetes_service_type=ClusterIP\n"
            "svc/s/b {kubernetes_namespace=s kubernetes_service_name=b}\n"
            "  b.s.svc:2 kubernetes_service_external_name=x.example"
            " kubernetes_service_port_name= kubernetes_service_port_number=2"
            " kubernetes_service_port_protocol=UDP kubernetes_service_type=ExternalName\n"
            "svc/s/c {kubernetes_namespace=s kubernetes_service_name=c}\n"
            "  c.s.svc:3 kubernetes_service_cluster_ip=10.9.0.3"
            " kubernetes_service_loadbalancer_ip=1.1.1.1,2.2.2.2 kubernetes_service_port_name="
            " kubernetes_service_port_number=3 kubernetes_service_port_protocol="
            " kubernetes_service_type=LoadBalancer\n");
  Stop();
  groups.clear();

  Serve("/apis/networking.k8s.io/v1/ingresses", R"({"metadata": {"name": "i", "namespace": "s"},
      "spec": {"ingressClassName": "nginx", "tls": [{"hosts": ["*.example.com"]}],
       "rules": [{"host": "a.example.com", "http": {"paths": [{"path": "/x"}, {}]}},
                 {"host": "a.b.example.com"}]}})");
  StartRole("ingress");
  EXPECT_EQ(Seen(),
            "ingress/s/i {kubernetes_ingress_class_name=nginx kubernetes_ingress_name=i"
            " kubernetes_namespace=s}\n"
            "  a.example.com kubernetes_ingress_host=a.example.com kubernetes_ingress_path=/x"
            " kubernetes_ingress_scheme=https\n"
            "  a.example.com kubernetes_ingress_host=a.example.com kubernetes_ingress_path=/"
            " kubernetes_ingress_scheme=https\n"
            "  a.b.example.com kubernetes_ingress_host=a.b.example.com kubernetes_ingress_path=/"
            " kubernetes_ingress_scheme=http\n");
  Stop();
  groups.clear();

  Serve("/api/v1/nodes", R"({"metadata": {"name": "n1"}, "spec": {"providerID": "aws:///i-1"},
      "status": {"addresses": [{"type": "Hostname", "address": "n1.local"},
                               {"type": "InternalIP", "address": "10.0.0.1"},
                               {"type": "InternalIP", "address": "10.0.0.2"}],
                 "conditions": [{"type": "DiskPressure", "status": "False"}],
                 "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}},
      {"metadata": {"name": "n2"}})");
  StartRole("node");
  EXPECT_EQ(Seen(),
            "node/n1 {kubernetes_node_condition_diskpressure=false kubernetes_node_name=n1"
            " kubernetes_node_provider_id=aws:///i-1}\n"
            "  10.0.0.1:10250 kubernetes_node_address_Hostname=n1.local"
            " kubernetes_node_address_InternalIP=10.0.0.1 instance=n1\n");
}

TEST_F(KubernetesTest, ListsInPagesWithSelectorsAndWatchesFromThere) {
  const std::string base = "GET http://k8s/api/v1/namespaces/a/pods?";
  const std::string selectors = "fieldSelector=spec.x%3Dy&labelSelector=app%3Dweb&limit=500";
  const std::string pod = R"({"metadata": {"name": "NAME", "namespace": "a"},
      "spec": {"containers": [{"name": "c"}]}, "status": {"podIP": "10.0.0.1"}})";
  const auto named = [&](const std::string& name) {
    std::string text = pod;
    return text.replace(text.find("NAME"), 4, name);
  };
  api.Serve(base + selectors, R"({"metadata": {"resourceVersion": "7", "continue": "k=1"},
      "items": [)" + named("p1") + "]}");
  api.Serve(base + "continue=k%3D1&" + selectors, List(named("p2"), "8"));
  api.Hold("GET http://k8s/api/v1/namespaces/a/pods");
  StartRole("pod",
            "  namespaces: {names: [a, b]}\n"
            "  selectors: [{role: pod, label: app=web, field: spec.x=y}]");
  EXPECT_EQ(groups.size(), 2U) << "namespace b, which fails, does not hold up namespace a";
  EXPECT_EQ(Failures(), 1) << "of namespace b";
  const testing::FakeApi::Open* watch = api.FindOpen(base + "allowWatchBookmarks=true");
  ASSERT_NE(watch, nullptr);
  EXPECT_THAT(watch->request.url, ::testing::HasSubstr("&resourceVersion=8&"));
  EXPECT_THAT(watch->request.url, ::testing::HasSubstr("&watch=true"));
  EXPECT_THAT(watch->request.url, ::testing::HasSubstr("labelSelector=app%3Dweb"));
}

TEST_F(KubernetesTest, ResumesRelistsAndBacksOff) {
  const std::string path = "/api/v1/services";
  const auto service = [](const std::string& name, int version) {
    return fmt::format(R"({{"metadata": {{"name": "{}", "namespace": "s", "resourceVersion": "{}"}},
        "spec": {{"ports": [{{"port": {}}}]}}}})",
                       name, version, version);
  };
  Serve(path, service("a", 1) + "," + service("b", 2));
  StartRole("service");
  EXPECT_EQ(groups.size(), 2U);

  // An event may come in pieces; a bookmark moves the version.
  const std::string event = Event("ADDED", service("c", 101));
  Push(path, event.substr(0, 20));
  EXPECT_EQ(groups.size(), 2U);
  Push(path,
       event.substr(20) +
           Event("BOOKMARK", R"({"kind": "Service", "metadata": {"resourceVersion": "150"}})"));
  EXPECT_EQ(groups.size(), 3U);

  // The server ends the watch: the next one goes on from the bookmark, without a list.
  AdvanceSeconds(2);
  api.Complete(Watch(path), Answer(""));
  loop.RunDue();
  testing::FakeApi::Open* watch = api.FindOpen(Watch(path));
  ASSERT_NE(watch, nullptr);
  EXPECT_THAT(watch->request.url, ::testing::HasSubstr("&resourceVersion=150&"));
  EXPECT_EQ(api.CountOf("GET http://k8s/api/v1/services?limit"), 1U);
  EXPECT_EQ(Failures(), 0);

  // 410 Gone, as an event: everything is listed anew; what is missing goes, what is known stays
  // quiet.
  Serve(path, service("a", 1) + "," + service("d", 200));
  const int before = updates;
  Push(path, Event("ERROR", R"({"kind": "Status", "code": 410, "message": "too old"})"));
  EXPECT_EQ(api.CountOf("GET http://k8s/api/v1/services?limit"), 2U);
  EXPECT_EQ(updates, before + 1);
  EXPECT_TRUE(groups.contains("svc/s/a") && groups.contains("svc/s/d"));
  EXPECT_EQ(groups.size(), 2U);
  EXPECT_EQ(Events("service", "update"), 0);
  EXPECT_EQ(Events("service", "delete"), 2);

  // 410 as the answer to the watch.
  api.Complete(Watch(path), Answer(R"({"code": 410, "message": "gone"})", 410));
  loop.RunDue();
  EXPECT_EQ(api.CountOf("GET http://k8s/api/v1/services?limit"), 3U);
  EXPECT_EQ(Failures(), 0);

  // A broken connection: counted, and tried again later from the same version. Targets stay.
  const size_t asked = api.CountOf("GET");
  api.Complete(Watch(path), Status(ErrorCode::kIo, "connection reset"));
  loop.RunDue();
  EXPECT_EQ(Failures(), 1);
  EXPECT_EQ(api.CountOf("GET"), asked) << "not at once";
  AdvanceSeconds(2);
  EXPECT_EQ(api.CountOf("GET"), asked + 1);
  EXPECT_EQ(groups.size(), 2U);

  // The API server is gone for ten minutes: the waiting grows up to half a minute.
  api.ServeError("GET http://k8s" + path, Status(ErrorCode::kIo, "connection refused"));
  api.Complete(Watch(path), Status(ErrorCode::kIo, "connection reset"));
  const size_t first = api.CountOf("GET");
  AdvanceSeconds(600);
  EXPECT_GE(api.CountOf("GET") - first, 600U / 30);
  EXPECT_LE(api.CountOf("GET") - first, 50U);
  EXPECT_EQ(groups.size(), 2U);
  Stop();
  EXPECT_EQ(loop.pending(), 0U);
}

TEST_F(KubernetesTest, RefusesBadAnswers) {
  for (const std::string& body : {std::string("{"), std::string("[]"), std::string()}) {
    api.Serve("GET http://k8s/api/v1/pods", body);
    const double before = Failures();
    StartRole("pod");
    EXPECT_EQ(Failures(), before + 1) << body;
    Stop();
  }
  api.ServeStatus("GET http://k8s/api/v1/pods", 403, R"({"message": "pods is forbidden"})");
  StartRole("pod");
  EXPECT_EQ(metrics.Get("prometheus_sd_kubernetes_http_request_total", {{"status_code", "403"}}),
            1);
}

TEST_F(KubernetesTest, AnEndlessEventBreaksTheWatchOnly) {
  Serve("/api/v1/pods", kPod);
  StartRole("pod");
  const std::string part(16 << 20, 'x');
  bool open = true;
  for (int i = 0; i < 6 && open; ++i) {
    open = api.Push(Watch("/api/v1/pods"), part);
    loop.RunDue();
  }
  EXPECT_FALSE(open) << "at most 64 MiB wait for the end of a line";
  EXPECT_EQ(groups.size(), 1U);
}

TEST(Kubeconfig, ReadsTheCurrentContext) {
  const auto read = kubernetes::ReadKubeconfig(
      "current-context: two\n"
      "contexts:\n- {name: one, context: {cluster: x, user: x}}\n"
      "- {name: two, context: {cluster: c, user: u}}\n"
      "clusters:\n- name: c\n  cluster:\n    server: https://k:6443/\n"
      "    certificate-authority-data: Q0E=\n    tls-server-name: api\n"
      "users:\n- name: u\n  user: {client-certificate: c.pem, client-key: /abs/k.pem,"
      " tokenFile: tok}\n",
      "/etc/kube");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->base_url, "https://k:6443");
  EXPECT_EQ(read->client.tls_config.ca, "CA");
  EXPECT_EQ(read->client.tls_config.server_name, "api");
  EXPECT_EQ(read->client.tls_config.cert_file, "/etc/kube/c.pem");
  EXPECT_EQ(read->client.tls_config.key_file, "/abs/k.pem");
  EXPECT_EQ(read->client.authorization->credentials_file, "/etc/kube/tok");
}

TEST(Kubeconfig, RefusesWhatItCannotUse) {
  const auto error = [](std::string_view yaml) {
    const auto read = kubernetes::ReadKubeconfig(yaml, "/");
    return read.ok() ? "" : read.status().message();
  };
  const std::string context =
      "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n";
  EXPECT_EQ(error(""), "invalid configuration: no configuration has been provided");
  EXPECT_EQ(error("current-context: b"),
            "invalid configuration: context was not found for specified context: b");
  EXPECT_EQ(error(context), "invalid configuration: no server found for cluster \"c\"");
  EXPECT_EQ(error(context + "clusters: [{name: c, cluster: {server: k}}]\n"
                            "users: [{name: u, user: {exec: {command: x}}}]"),
            "kubeconfig users with \"exec\" are not supported yet");
  EXPECT_EQ(error(context + "clusters: [{name: c, cluster: {server: k, "
                            "certificate-authority-data: '*'}}]"),
            "certificate-authority-data: illegal base64 data");
}

TEST(InCluster, NeedsTheServiceAddress) {
  unsetenv("KUBERNETES_SERVICE_HOST");
  KubernetesSdConfig config;
  config.role = "pod";
  const auto found = kubernetes::FindCredentials(config, FileSystem::Posix());
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().message(),
            "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
            "KUBERNETES_SERVICE_PORT must be defined");
}

TEST(HostPatterns, CoverOneLabel) {
  EXPECT_TRUE(kubernetes::MatchesHostPattern("a.b", "a.b"));
  EXPECT_TRUE(kubernetes::MatchesHostPattern("*.b.c", "a.b.c"));
  EXPECT_FALSE(kubernetes::MatchesHostPattern("*.b.c", "x.a.b.c"));
  EXPECT_FALSE(kubernetes::MatchesHostPattern("*.b.c", "b.c"));
  EXPECT_FALSE(kubernetes::MatchesHostPattern("", "b.c"));
}

}  // namespace
}  // namespace narthex
