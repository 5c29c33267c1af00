// Mechanisms that ask an API every refresh interval: what the recorded cases leave out (pages,
// rarer shapes, options) and, for all of them, that an API that fails costs no targets.
#include <fmt/format.h>

#include "discovery/mechanisms/mechanisms.h"
#include "testing/fake_api.h"

namespace narthex {
namespace {

using testing::Answer;
using ::testing::Contains;
using testing::DiscoveryTest;
using testing::FakeApi;
using ::testing::HasSubstr;
using ::testing::Pair;

class ApisTest : public DiscoveryTest {
 protected:
  ApisTest() { RegisterBuiltinMechanisms(registry); }
};

struct Api {
  std::string mechanism;
  std::string entry;
  std::string route;
  std::string body;
  std::string address;  // Of the one target.
};

const std::vector<Api>& Apis() {
  static const std::vector<Api> apis = {
      {"digitalocean", "- {}", "GET https://api.digitalocean.com/v2/droplets",
       R"({"droplets": [{"id": 1, "networks": {"v4": [{"ip_address": "1.1.1.1",
           "type": "public"}]}}]})",
       "1.1.1.1:80"},
      {"eureka", "- server: http://s", "GET http://s/apps",
       "<applications><application><name>A</name><instance><hostName>h</hostName>"
       "</instance></application></applications>",
       "h:80"},
      {"hetzner", "- role: robot", "GET https://robot-ws.your-server.de/server",
       R"([{"server": {"server_ip": "1.1.1.1"}}])", "1.1.1.1:80"},
      {"ionos", "- datacenter_id: d/e",
       "GET https://api.ionos.com/cloudapi/v6/datacenters/d%2Fe/servers",
       R"({"items": [{"entities": {"nics": {"items": [{"properties": {"ips": ["1.1.1.1"]}}]}}}]})",
       "1.1.1.1:80"},
      {"vultr", "- {}", "GET https://api.vultr.com/v2/instances",
       R"({"instances": [{"main_ip": "1.1.1.1"}]})", "1.1.1.1:80"},
      {"marathon", "- servers: [http://m]", "GET http://m/v2/apps/",
       R"({"apps": [{"id": "/a", "tasks": [{"id": "t", "host": "h", "ports": [81]}]}]})", "h:81"},
      {"triton", "- account: a\n  dns_suffix: d\n  endpoint: e", "GET https://e:9163/v1/discover",
       R"({"containers": [{"vm_uuid": "u"}]})", "u.d:9163"},
      {"docker", "- host: tcp://h:2375", "GET http://h:2375/v1.56/containers/json",
       R"([{"Id": "c", "Names": ["/n"], "NetworkSettings": {"Networks": {"b": {
           "IPAddress": "1.1.1.1"}}}}])",
       "1.1.1.1:80"},
      {"dockerswarm", "- host: tcp://h:2375\n  role: nodes", "GET http://h:2375/v1.56/nodes",
       R"([{"ID": "n", "Status": {"Addr": "1.1.1.1"}}])", "1.1.1.1:80"},
  };
  return apis;
}

TEST_F(ApisTest, KeepTargetsWhenTheApiFails) {
  for (const Api& test : Apis()) {
    SCOPED_TRACE(test.mechanism);
    api = FakeApi();
    groups.clear();
    api.Serve("HEAD http://h:2375/_ping", "");
    api.Serve("GET http://h:2375/v1.56/networks", "[]");
    api.Serve(test.route, test.body);
    Start(fmt::format("{}_sd_configs:\n{}\n  refresh_interval: 30s", test.mechanism,
                      test.entry == "- {}" ? "- port: 80" : test.entry));
    ASSERT_EQ(groups.size(), 1U) << Seen();
    const auto addresses = [&] {
      std::string text;
      for (const auto& [source, group] : groups) {
        for (const TargetLabels& target : group->targets) text += GetLabel(target, kAddressLabel);
      }
      return text;
    };
    EXPECT_EQ(addresses(), test.address);
    double failures = RefreshFailures(test.mechanism);
    const auto fails = [&](std::string_view how) {
      AdvanceSeconds(30);
      EXPECT_EQ(RefreshFailures(test.mechanism), ++failures) << how;
      EXPECT_EQ(addresses(), test.address) << how;
    };
    if (test.mechanism != "triton") {  // It looks at the body alone.
      api.ServeStatus(test.route, 500, "no");
      fails("refused");
    }
    api.Serve(test.route, "{ <");
    fails("broken");
    api.ServeError(test.route, Status(ErrorCode::kTimeout, "context deadline exceeded"));
    fails("timeout");
    api.Hold(test.route);
    AdvanceSeconds(30);
    EXPECT_EQ(api.open.size(), 1U);
    Stop();
    EXPECT_TRUE(api.open.empty()) << "nothing is under way after the end";
  }
}

TEST_F(ApisTest, PagesAreFollowedToTheLast) {
  const auto droplets = [](int id, std::string_view pages) {
    return fmt::format(
        R"({{"droplets": [{{"id": {}, "networks": {{"v4": [{{"ip_address": "10.0.0.{}",
            "type": "public"}}]}}}}], "links": {{"pages": {{{}}}}}}})",
        id, id, pages);
  };
  const std::string ocean = "GET https://api.digitalocean.com/v2/";
  const std::string last = R"("last": "https://api.digitalocean.com/v2/droplets?page=3")";
  api.Serve(ocean + "droplets",
            droplets(1, R"("next": "https://api.digitalocean.com/v2/droplets?page=2", )" + last));
  api.Serve(ocean + "droplets?page=2",
            droplets(2, R"("next": "https://api.digitalocean.com/v2/droplets?page=3", )" + last));
  api.Serve(ocean + "droplets?page=3",
            droplets(3, R"("prev": "https://api.digitalocean.com/v2/droplets?page=2")"));
  Start("digitalocean_sd_configs:\n- {}");
  EXPECT_EQ(groups.at("DigitalOcean")->targets.size(), 3U);
  EXPECT_EQ(api.log.size(), 3U);

  api = FakeApi();
  api.Serve(ocean + "databases?page=1&per_page=100", R"({"databases": [
    {"id": "i", "name": "n", "engine": "pg", "version": "16", "status": "online",
     "region": "fra1", "size": "s", "num_nodes": 2, "tags": ["prod"],
     "connection": {"host": "public"}, "private_connection": {"host": "private"}}]})");
  api.Serve(ocean + "databases?page=2&per_page=100", R"({"databases": []})");
  groups.clear();
  Start("digitalocean_sd_configs:\n- role: databases\n  port: 9273");
  EXPECT_EQ(Seen(),
            "DigitalOcean Databases {}\n"
            "  private:9273 digitalocean_db_engine=pg digitalocean_db_host=public"
            " digitalocean_db_id=i digitalocean_db_name=n digitalocean_db_num_nodes=2"
            " digitalocean_db_private_host=private digitalocean_db_region=fra1"
            " digitalocean_db_size=s digitalocean_db_status=online digitalocean_db_tag_prod=true"
            " digitalocean_db_version=16\n");

  api = FakeApi();
  const std::string hetzner = "GET https://api.hetzner.cloud/v1/";
  const std::string selected = hetzner + "servers?label_selector=env%3Dprod&page=";
  api.Serve(selected + "1&per_page=50",
            R"({"servers": [{"id": 1}], "meta": {"pagination": {"next_page": 2}}})");
  api.Serve(selected + "2&per_page=50",
            R"({"servers": [{"id": 2}], "meta": {"pagination": {"next_page": null}}})");
  api.Serve(hetzner + "networks?page=1&per_page=50", R"({"networks": []})");
  groups.clear();
  Start("hetzner_sd_configs:\n- role: hcloud\n  label_selector: env=prod");
  EXPECT_EQ(groups.at("hetzner")->targets.size(), 2U);

  api = FakeApi();
  const std::string vultr = "GET https://api.vultr.com/v2/instances";
  api.Serve(vultr + "?per_page=100", R"({"instances": [
    {"id": "a", "os": "Debian", "ram": 1024, "disk": 25, "main_ip": "1.1.1.1", "vcpu_count": 1,
     "region": "ams", "plan": "p", "allowed_bandwidth": 9, "v6_main_ip": "2001:db8::1",
     "internal_ip": "10.1.1.1", "label": "l", "hostname": "h", "server_status": "ok",
     "os_id": 352, "features": ["ipv6"], "tags": ["x", "y"]}],
    "meta": {"links": {"next": "c/2="}}})");
  api.Serve(vultr + "?cursor=c%2F2%3D&per_page=100", R"({"instances": [{"id": "b"}]})");
  groups.clear();
  Start("vultr_sd_configs:\n- {}");
  ASSERT_EQ(groups.at("Vultr")->targets.size(), 2U);
  EXPECT_THAT(Seen(),
              HasSubstr("  1.1.1.1:80 vultr_instance_allowed_bandwidth_gb=9"
                        " vultr_instance_disk_gb=25 vultr_instance_features=,ipv6,"
                        " vultr_instance_hostname=h vultr_instance_id=a"
                        " vultr_instance_internal_ip=10.1.1.1 vultr_instance_label=l"
                        " vultr_instance_main_ip=1.1.1.1 vultr_instance_main_ipv6=2001:db8::1"
                        " vultr_instance_os=Debian vultr_instance_os_id=352"
                        " vultr_instance_plan=p vultr_instance_ram_mb=1024"
                        " vultr_instance_region=ams vultr_instance_server_status=ok"
                        " vultr_instance_tags=,x,y, vultr_instance_vcpu_count=1\n"));
}

TEST_F(ApisTest, MarathonFindsPortsWhereverTheAppHasThem) {
  struct {
    std::string_view app;
    std::string_view want;
  } const kCases[] = {
      {R"("container": {"portMappings": [{"containerPort": 80, "hostPort": 31000,
          "labels": {"a-b": "1"}}], "docker": {"image": "i"}})",
       "h:31000 marathon_port_index=0 marathon_port_mapping_label_a_b=1 marathon_task=t"},
      {R"("container": {"docker": {"portMappings": [{"containerPort": 80, "hostPort": 0}]}},
          "networks": [{"mode": "container"}])",
       "10.0.0.9:80 marathon_port_index=0 marathon_task=t"},
      {R"("container": {"docker": {"portMappings": [{"hostPort": 0}]}})",
       "h:31001 marathon_port_index=0 marathon_task=t"},
      {R"("portDefinitions": [{"port": 9000, "labels": {"x": "y"}}], "requirePorts": true)",
       "h:9000 marathon_port_definition_label_x=y marathon_port_index=0 marathon_task=t"},
      {R"("portDefinitions": [{"port": 9000}])", "h:31001 marathon_port_index=0 marathon_task=t"},
      {R"("labels": {"prometheus": "yes"})", "h:31001 marathon_port_index=0 marathon_task=t"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.app);
    api.Serve("GET http://m/v2/apps/?embed=apps.tasks",
              fmt::format(R"({{"apps": [{{"id": "/a", {}, "tasks": [{{"id": "t", "host": "h",
                  "ports": [31001], "ipAddresses": [{{"ipAddress": "10.0.0.9"}}]}}]}}]}})",
                          test.app));
    groups.clear();
    Start("marathon_sd_configs:\n- servers: [http://m]\n  auth_token: secret");
    EXPECT_THAT(Seen(), HasSubstr(fmt::format("  {}\n", test.want)));
    EXPECT_THAT(api.requests.back().headers, Contains(Pair("Authorization", "token=secret")));
  }
  EXPECT_THAT(Seen(), HasSubstr("/a {marathon_app=/a marathon_app_label_prometheus=yes"));
  api.Serve("GET http://m/v2/apps/?embed=apps.tasks", R"({"apps": []})");
  AdvanceSeconds(30);
  EXPECT_EQ(Seen(), "") << "an app that is gone takes its targets along";
}

TEST_F(ApisTest, TritonAsksByRoleAndGroups) {
  api.Serve("GET https://e:9163/v1/discover?groups=a%2Cb", R"({"containers": [
    {"vm_uuid": "u", "vm_alias": "al", "vm_brand": "lx", "vm_image_uuid": "im",
     "server_uuid": "s", "groups": ["a", "b"]}]})");
  Start("triton_sd_configs:\n- {account: a, dns_suffix: d, endpoint: e, groups: [a, b]}");
  EXPECT_EQ(Seen(),
            "https://e:9163/v1/discover?groups=a%2Cb {}\n"
            "  u.d:9163 triton_groups=,a,b, triton_machine_alias=al triton_machine_brand=lx"
            " triton_machine_id=u triton_machine_image=im triton_server_id=s\n");
  api.Serve("GET https://e:9163/v1/gz/discover",
            R"({"cns": [{"server_uuid": "s", "server_hostname": "host"}]})");
  groups.clear();
  Start("triton_sd_configs:\n- {account: a, dns_suffix: d, endpoint: e, role: cn}");
  EXPECT_EQ(Seen(),
            "https://e:9163/v1/gz/discover {}\n"
            "  s.d:9163 triton_machine_alias=host triton_machine_id=s\n");
}

TEST_F(ApisTest, LinodeAsksAgainOnlyWhenSomethingHappened) {
  const std::string v4 = "GET https://api.linode.com/v4";
  api.Serve(v4 + "/linode/instances", R"({"data": [{"id": 1, "ipv4": ["1.1.1.1"]}], "pages": 1})");
  api.Serve(v4 + "/networking/ips",
            R"({"data": [{"address": "1.1.1.1", "public": true}], "pages": 1})");
  api.Serve(v4 + "/networking/ipv6/ranges", R"({"data": [], "pages": 1})");
  api.Serve(v4 + "/account/events", R"({"data": []})");
  Start("linode_sd_configs:\n- region: us-east");
  EXPECT_EQ(api.CountOf(v4 + "/linode/instances"), 1U);
  EXPECT_THAT(api.requests[0].headers, Contains(Pair("X-Filter", R"({"region": "us-east"})")));
  for (int i = 0; i < 9; ++i) AdvanceSeconds(60);
  EXPECT_EQ(api.CountOf(v4 + "/linode/instances"), 1U);
  EXPECT_EQ(api.CountOf(v4 + "/account/events"), 9U);
  AdvanceSeconds(60);
  EXPECT_EQ(api.CountOf(v4 + "/linode/instances"), 2U) << "after ten quiet intervals";
  api.Serve(v4 + "/account/events", R"({"data": [{"id": 7}]})");
  AdvanceSeconds(60);
  EXPECT_EQ(api.CountOf(v4 + "/linode/instances"), 3U);
  api.ServeStatus(v4 + "/account/events", 401);
  AdvanceSeconds(120);
  EXPECT_EQ(api.CountOf(v4 + "/linode/instances"), 5U) << "a token that may not read events";
  api.ServeStatus(v4 + "/networking/ips", 500);
  AdvanceSeconds(60);
  EXPECT_EQ(metrics.Get("prometheus_sd_linode_failures_total", {}), 1);
  EXPECT_EQ(groups.size(), 1U);
}

TEST_F(ApisTest, DockerReachesASharedNetworkThroughAUnixSocket) {
  api.Serve("HEAD http://localhost/_ping", [](const FetchRequest&) -> FakeApi::Reply {
    return Answer("", 200, {{"Api-Version", "1.43"}});
  });
  api.Serve("GET http://localhost/v1.43/containers/json", R"([
    {"Id": "main", "Names": ["/main"], "Image": "im", "HostConfig": {"NetworkMode": "front"},
     "Ports": [{"PrivatePort": 80, "PublicPort": 8080, "IP": "0.0.0.0", "Type": "tcp"},
               {"PrivatePort": 53, "Type": "udp"}],
     "NetworkSettings": {"Networks": {"z": {"IPAddress": "10.0.0.9", "NetworkID": "Z"},
                                      "front": {"IPAddress": "10.0.0.1", "NetworkID": "F"}}}},
    {"Id": "side", "Names": ["/side"], "HostConfig": {"NetworkMode": "container:main"},
     "Ports": [{"PrivatePort": 9100, "Type": "tcp"}]},
    {"Id": "loop", "Names": ["/loop"], "HostConfig": {"NetworkMode": "container:loop"}},
    {"Id": "host", "Names": ["/host"], "HostConfig": {"NetworkMode": "host"},
     "NetworkSettings": {"Networks": {"host": {"IPAddress": "", "NetworkID": "H"}}}},
    {"Id": "nameless", "Names": []}])");
  api.Serve("GET http://localhost/v1.43/networks", R"([
    {"Id": "F", "Name": "front", "Scope": "local", "Internal": true, "Ingress": false,
     "Labels": {"team": "a"}}])");
  Start(
      "docker_sd_configs:\n- host: unix:///run/docker.sock\n"
      "  filters: [{name: label, values: [a, b]}, {name: status, values: [running]}]");
  EXPECT_EQ(api.requests[0].unix_socket, "/run/docker.sock");
  EXPECT_EQ(api.log[1],
            "GET http://localhost/v1.43/containers/json?filters=%7B%22label%22%3A%7B%22a%22%3A"
            "true%2C%22b%22%3Atrue%7D%2C%22status%22%3A%7B%22running%22%3Atrue%7D%7D");
  const std::string front =
      " docker_network_id=F docker_network_ingress=false docker_network_internal=true"
      " docker_network_ip=10.0.0.1 docker_network_label_team=a docker_network_name=front"
      " docker_network_scope=local";
  EXPECT_EQ(Seen(),
            "Docker {}\n"
            "  10.0.0.1:80 docker_container_id=main docker_container_image=im"
            " docker_container_name=/main docker_container_network_mode=front" +
                front +
                " docker_port_private=80 docker_port_public=8080 docker_port_public_ip=0.0.0.0\n"
                "  10.0.0.1:9100 docker_container_id=side docker_container_name=/side"
                " docker_container_network_mode=container:main" +
                front +
                " docker_port_private=9100\n"
                "  localhost docker_container_id=host docker_container_name=/host"
                " docker_container_network_mode=host docker_network_ip=\n");
}

TEST_F(ApisTest, DockerRefusesWhatItDoesNotSpeak) {
  const auto version = [&](std::string text) {
    api.Serve("HEAD http://h:1/_ping", [text](const FetchRequest&) -> FakeApi::Reply {
      return Answer("", 200, {{"Api-Version", text}});
    });
  };
  version("1.24");
  Start("docker_sd_configs:\n- host: http://h:1");
  EXPECT_EQ(RefreshFailures("docker"), 1);
  EXPECT_EQ(api.log.size(), 1U);
  // A daemon that is newer than this client speaks the older version too.
  version("1.99");
  AdvanceSeconds(60);
  EXPECT_EQ(api.CountOf("GET http://h:1/v1.56/containers/json"), 1U);
}

TEST_F(ApisTest, SwarmTasksAreJoinedWithServicesNodesAndNetworks) {
  const std::string v = "GET http://h:1/v1.56/";
  api.Serve("HEAD http://h:1/_ping", "");
  api.Serve(v + "tasks", R"([
    {"ID": "t1", "ServiceID": "s1", "NodeID": "n1", "Slot": 2, "DesiredState": "running",
     "Spec": {"ContainerSpec": {"Labels": {"c.l": "v"}}},
     "Status": {"State": "running", "ContainerStatus": {"ContainerID": "cid"},
                "PortStatus": {"Ports": [{"Protocol": "tcp", "PublishedPort": 99,
                                          "PublishMode": "host"}]}},
     "NetworksAttachments": [{"Network": {"ID": "net"}, "Addresses": ["10.0.1.5/24"]}]},
    {"ID": "t2", "ServiceID": "gone", "NodeID": "gone", "Status": {"State": "failed"},
     "NetworksAttachments": [{"Network": {"ID": "other"}, "Addresses": ["10.0.2.5/24"]}]}])");
  api.Serve(v + "services", R"([
    {"ID": "s1", "Spec": {"Name": "web", "Labels": {"s": "1"}, "Mode": {"Replicated": {}}},
     "Endpoint": {"Ports": [{"Protocol": "udp", "PublishedPort": 53},
                            {"Protocol": "tcp", "PublishedPort": 80,
                             "PublishMode": "ingress"}]}}])");
  api.Serve(v + "nodes", R"([
    {"ID": "n1", "Spec": {"Role": "manager", "Availability": "active", "Labels": {"z": "a"}},
     "Description": {"Hostname": "host1", "Platform": {"Architecture": "x86_64", "OS": "linux"}},
     "Status": {"State": "ready", "Addr": "192.168.0.1"}}])");
  api.Serve(v + "networks", R"([{"Id": "net", "Name": "ingress", "Scope": "swarm",
                                 "Ingress": true}])");
  Start("dockerswarm_sd_configs:\n- host: http://h:1\n  role: tasks");
  const std::string node =
      " dockerswarm_node_address=192.168.0.1 dockerswarm_node_availability=active"
      " dockerswarm_node_hostname=host1 dockerswarm_node_id=n1 dockerswarm_node_label_z=a"
      " dockerswarm_node_platform_architecture=x86_64 dockerswarm_node_platform_os=linux"
      " dockerswarm_node_role=manager dockerswarm_node_status=ready";
  const std::string service =
      " dockerswarm_service_id=s1 dockerswarm_service_label_s=1"
      " dockerswarm_service_mode=replicated dockerswarm_service_name=web"
      " dockerswarm_task_container_id=cid dockerswarm_task_desired_state=running"
      " dockerswarm_task_id=t1";
  const std::string end = " dockerswarm_task_slot=2 dockerswarm_task_state=running\n";
  EXPECT_EQ(Seen(),
            "DockerSwarm {}\n"
            "  192.168.0.1:99 dockerswarm_container_label_c_l=v" +
                node + service + " dockerswarm_task_port_publish_mode=host" + end +
                "  10.0.1.5:80 dockerswarm_container_label_c_l=v dockerswarm_network_id=net"
                " dockerswarm_network_ingress=true dockerswarm_network_internal=false"
                " dockerswarm_network_name=ingress dockerswarm_network_scope=swarm" +
                node + service + " dockerswarm_task_port_publish_mode=ingress" + end +
                "  10.0.2.5:80 dockerswarm_task_desired_state= dockerswarm_task_id=t2"
                " dockerswarm_task_slot=0 dockerswarm_task_state=failed\n");
}

TEST_F(ApisTest, PuppetdbParametersBecomeLabels) {
  api.Serve("POST http://p/sub/pdb/query/v4", [](const FetchRequest&) -> FakeApi::Reply {
    return Answer(R"([{"certname": "c", "resource": "r", "type": "T", "title": "t",
                       "exported": true, "tags": ["a"], "file": "/f", "environment": "prod",
                       "parameters": {"text": "x", "yes": true, "n": 1.5, "i": 42,
                                      "list": ["a", 1, false], "none": [], "nil": null,
                                      "map": {"inner-key": "v", "deep": {"k": "w"}}}}])",
                  200, {{"Content-Type", "application/json; charset=utf-8"}});
  });
  Start("puppetdb_sd_configs:\n- {url: 'http://p/sub/', query: q, include_parameters: true}");
  EXPECT_EQ(Seen(),
            "http://p/sub/pdb/query/v4?query=q {}\n"
            "  c:80 puppetdb_certname=c puppetdb_environment=prod puppetdb_exported=true"
            " puppetdb_file=/f puppetdb_parameter_i=42 puppetdb_parameter_list=a,1,false"
            " puppetdb_parameter_map_deep_k=w puppetdb_parameter_map_inner_key=v"
            " puppetdb_parameter_n=1.5 puppetdb_parameter_text=x puppetdb_parameter_yes=true"
            " puppetdb_query=q puppetdb_resource=r puppetdb_tags=,a, puppetdb_title=t"
            " puppetdb_type=T\n");
  EXPECT_EQ(api.requests[0].body, R"({"query":"q"})");
}

}  // namespace
}  // namespace narthex
