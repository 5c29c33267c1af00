#include "discovery/aws/ecs_discoverer.h"

#include <map>
#include <set>

#include "discovery/aws/aws_client.h"
#include "discovery/aws/xml_labels.h"
#include "discovery/json_labels.h"
#include "util/log.h"
#include "util/strings.h"

namespace narthex {

namespace {

constexpr int kPagesMax = 10'000;
// What one call describes at most.
constexpr size_t kServicesPerCall = 10;
constexpr size_t kPerCall = 100;
constexpr std::string_view kEc2ApiVersion = "2016-11-15";

// A machine that tasks run on.
struct Host {
  std::string private_ip, public_ip, subnet, type;
  std::map<std::string, std::string> tags;
};

// What is known of one cluster, beside its tasks.
struct ClusterView {
  json::value cluster;
  std::map<std::string, json::value> services;          // By name.
  std::map<std::string, std::string> machine_of;        // Container instance to EC2 instance.
  std::map<std::string, Host> hosts;                    // By EC2 instance.
  std::map<std::string, std::string> public_ip_of_eni;  // By network interface.
};

std::vector<std::string> Names(const std::set<std::string>& names) {
  return {names.begin(), names.end()};
}

json::array ToJson(std::span<const std::string> texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

void SetTags(const json::value& object, std::string_view prefix, TextMap* labels) {
  for (const json::value& tag : Array(object, "tags")) {
    if (!Member(tag, "key").is_string() || !Member(tag, "value").is_string()) continue;
    (*labels)[std::string(prefix) + SanitizeLabelName(Text(tag, "key"))] = Text(tag, "value");
  }
}

void SetUnlessEmpty(std::string_view label, const std::string& value, TextMap* labels) {
  if (!value.empty()) (*labels)[std::string(label)] = value;
}

// The network interface of a task in awsvpc mode; null when it has none.
const json::value* InterfaceOf(const json::value& task) {
  for (const json::value& attachment : Array(task, "attachments")) {
    if (Text(attachment, "type") == "ElasticNetworkInterface") return &attachment;
  }
  return nullptr;
}

std::string Detail(const json::value& attachment, std::string_view name) {
  for (const json::value& detail : Array(attachment, "details")) {
    if (Text(detail, "name") == name) return Text(detail, "value");
  }
  return "";
}

class EcsDiscoverer : public ApiDiscoverer {
 public:
  EcsDiscoverer(const EcsSdConfig& config, std::string set_name, DiscoveryEnvironment& environment)
      : ApiDiscoverer("ecs", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        port_(config.port),
        clusters_(config.clusters),
        ecs_(api(), std::make_shared<const HttpClientConfig>(config.http_client), AccessOf(config),
             "ecs", "ECS"),
        ec2_(api(), std::make_shared<const HttpClientConfig>(config.http_client),
             WithoutEndpoint(AccessOf(config)), "ec2", "EC2") {}

 private:
  // The endpoint of the entry is that of ECS.
  static AwsAccess WithoutEndpoint(AwsAccess access) {
    access.endpoint.clear();
    return access;
  }

  Async<Groups> FetchGroups() override {
    NARTHEX_CO_TRY(const std::string region, co_await ecs_.Region());
    std::vector<TargetGroup> groups(1);
    groups[0].source = region;
    std::vector<std::string> clusters = clusters_;
    if (clusters.empty()) {
      Result<std::vector<std::string>> listed =
          co_await ListArns("ListClusters", "clusterArns", "");
      if (!listed.ok()) co_return listed.status().WithPrefix("could not list clusters: ");
      clusters = *std::move(listed);
    }
    NARTHEX_CO_TRY(const std::vector<json::value> described, co_await DescribeClusters(clusters));
    for (const json::value& cluster : described) {
      const std::string arn = Text(cluster, "clusterArn");
      const Result<std::vector<std::string>> services =
          co_await ListArns("ListServices", "serviceArns", arn);
      if (!services.ok()) {
        co_return services.status().WithPrefix(
            fmt::format("could not list services for cluster {}: ", GoQuote(arn)));
      }
      const Result<std::vector<std::string>> tasks =
          co_await ListArns("ListTasks", "taskArns", arn);
      if (!tasks.ok()) {
        co_return tasks.status().WithPrefix(
            fmt::format("could not list tasks for cluster {}: ", GoQuote(arn)));
      }
      if (tasks->empty()) continue;
      // As upstream: a cluster that cannot be looked into costs its own targets alone.
      const Status added =
          co_await AddTasks(cluster, *services, *tasks, region, &groups[0].targets);
      if (!added.ok()) {
        LOG_ERROR("Failed to describe cluster", {"discovery", "ecs"}, {"cluster", arn},
                  {"error", added.message()});
      }
    }
    co_return groups;
  }

  Async<Result<json::object>> Ask(std::string operation, json::object question) {
    NARTHEX_CO_TRY(const std::string body,
                   co_await ecs_.Call("AmazonEC2ContainerServiceV20141113." + operation,
                                      json::serialize(question)));
    co_return ParseJsonObject(body);
  }

  // `cluster` is empty where the question is about clusters.
  Async<Result<std::vector<std::string>>> ListArns(std::string operation, std::string member,
                                                   std::string cluster) {
    std::vector<std::string> arns;
    std::string token;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      json::object question{{"maxResults", 100}};
      if (!cluster.empty()) question["cluster"] = cluster;
      if (!token.empty()) question["nextToken"] = token;
      NARTHEX_CO_TRY(const json::object answer, co_await Ask(operation, std::move(question)));
      for (std::string& arn : Texts(Array(answer, member))) arns.push_back(std::move(arn));
      token = Text(answer, "nextToken");
      if (token.empty()) break;
    }
    co_return arns;
  }

  // Objects by their names, as many in a call as are allowed.
  Async<Result<std::vector<json::value>>> Describe(std::string operation, std::string cluster,
                                                   std::string member,
                                                   std::vector<std::string> names, size_t per_call,
                                                   bool with_tags) {
    std::vector<json::value> found;
    for (size_t first = 0; first < names.size(); first += per_call) {
      const std::span<const std::string> batch = std::span<const std::string>(names).subspan(
          first, std::min(per_call, names.size() - first));
      json::object question;
      if (!cluster.empty()) question["cluster"] = cluster;
      question[member] = ToJson(batch);
      if (with_tags) question["include"] = json::array{"TAGS"};
      NARTHEX_CO_TRY(const json::object answer, co_await Ask(operation, std::move(question)));
      for (const json::value& object : Array(answer, member)) found.push_back(object);
    }
    co_return found;
  }

  Async<Result<std::vector<json::value>>> DescribeClusters(std::vector<std::string> names) {
    Result<std::vector<json::value>> found =
        co_await Describe("DescribeClusters", "", "clusters", std::move(names), kPerCall, true);
    if (!found.ok()) co_return found.status().WithPrefix("could not describe clusters: ");
    co_return found;
  }

  Async<Status> AddTasks(json::value cluster, std::vector<std::string> service_arns,
                         std::vector<std::string> task_arns, std::string region,
                         std::vector<TargetLabels>* targets) {
    const std::string arn = Text(cluster, "clusterArn");
    ClusterView view;
    view.cluster = cluster;
    NARTHEX_CO_TRY(const std::vector<json::value> services,
                   co_await Describe("DescribeServices", arn, "services", std::move(service_arns),
                                     kServicesPerCall, true));
    for (const json::value& service : services) {
      view.services.emplace(Text(service, "serviceName"), service);
    }
    NARTHEX_CO_TRY(
        const std::vector<json::value> tasks,
        co_await Describe("DescribeTasks", arn, "tasks", std::move(task_arns), kPerCall, true));
    std::set<std::string> machines;
    std::set<std::string> interfaces;
    for (const json::value& task : tasks) {
      if (const std::string at = Text(task, "containerInstanceArn"); !at.empty()) {
        machines.insert(at);
      }
      if (const json::value* attachment = InterfaceOf(task)) {
        if (const std::string id = Detail(*attachment, "networkInterfaceId"); !id.empty()) {
          interfaces.insert(id);
        }
      }
    }
    NARTHEX_CO_TRY(const std::vector<json::value> instances,
                   co_await Describe("DescribeContainerInstances", arn, "containerInstances",
                                     Names(machines), kPerCall, false));
    std::set<std::string> ec2_ids;
    for (const json::value& instance : instances) {
      const std::string id = Text(instance, "ec2InstanceId");
      if (id.empty()) continue;
      view.machine_of[Text(instance, "containerInstanceArn")] = id;
      ec2_ids.insert(id);
    }
    NARTHEX_CO_RETURN_IF_ERROR(co_await ReadInterfaces(Names(interfaces), &view.public_ip_of_eni));
    NARTHEX_CO_RETURN_IF_ERROR(co_await ReadHosts(Names(ec2_ids), &view.hosts));
    for (const json::value& task : tasks) AddTask(task, view, region, targets);
    co_return Status();
  }

  // All pages of a question about EC2's objects with those names.
  template <typename Visit>
  Async<Status> AskEc2(std::string action, std::string parameter, std::vector<std::string> names,
                       Visit visit) {
    if (names.empty()) co_return Status();
    std::string token;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      net::FormValues form;
      form.Add("Version", std::string(kEc2ApiVersion));
      for (size_t i = 0; i < names.size(); ++i) {
        form.Add(fmt::format("{}.{}", parameter, i + 1), names[i]);
      }
      if (!token.empty()) form.Add("NextToken", token);
      pugi::xml_document document;
      NARTHEX_CO_RETURN_IF_ERROR(co_await ec2_.QueryXml(action, std::move(form), &document));
      visit(document.document_element());
      token = XmlText(document.document_element(), "nextToken");
      if (token.empty()) break;
    }
    co_return Status();
  }

  Async<Status> ReadInterfaces(std::vector<std::string> names,
                               std::map<std::string, std::string>* public_ips) {
    co_return co_await AskEc2(
        "DescribeNetworkInterfaces", "NetworkInterfaceId", std::move(names),
        [public_ips](const pugi::xml_node& answer) {
          for (const pugi::xml_node card : answer.child("networkInterfaceSet").children()) {
            if (!XmlChild(card, "association.publicIp")) continue;
            (*public_ips)[XmlText(card, "networkInterfaceId")] =
                XmlText(card, "association.publicIp");
          }
        });
  }

  Async<Status> ReadHosts(std::vector<std::string> names, std::map<std::string, Host>* hosts) {
    co_return co_await AskEc2(
        "DescribeInstances", "InstanceId", std::move(names), [hosts](const pugi::xml_node& answer) {
          for (const pugi::xml_node reservation : answer.child("reservationSet").children()) {
            for (const pugi::xml_node instance : reservation.child("instancesSet").children()) {
              if (!instance.child("privateIpAddress")) continue;
              Host host{XmlText(instance, "privateIpAddress"),
                        XmlText(instance, "ipAddress"),
                        XmlText(instance, "subnetId"),
                        XmlText(instance, "instanceType"),
                        {}};
              for (const pugi::xml_node tag : instance.child("tagSet").children()) {
                if (!tag.child("key") || !tag.child("value")) continue;
                host.tags[XmlText(tag, "key")] = XmlText(tag, "value");
              }
              (*hosts)[XmlText(instance, "instanceId")] = std::move(host);
            }
          }
        });
  }

  void AddTask(const json::value& task, const ClusterView& view, const std::string& region,
               std::vector<TargetLabels>* targets) const {
    const std::string container_instance = Text(task, "containerInstanceArn");
    std::string machine;
    const Host* host = nullptr;
    if (const auto at = view.machine_of.find(container_instance); at != view.machine_of.end()) {
      machine = at->second;
      const auto found = view.hosts.find(machine);
      if (found != view.hosts.end()) host = &found->second;
    }
    std::string ip, subnet, public_ip, mode;
    if (const json::value* attachment = InterfaceOf(task)) {
      mode = "awsvpc";
      ip = Detail(*attachment, "privateIPv4Address");
      subnet = Detail(*attachment, "subnetId");
      const auto at = view.public_ip_of_eni.find(Detail(*attachment, "networkInterfaceId"));
      if (at != view.public_ip_of_eni.end()) public_ip = at->second;
    } else if (!container_instance.empty()) {
      mode = "bridge";
      if (host != nullptr) {
        ip = host->private_ip;
        public_ip = host->public_ip;
        subnet = host->subnet;
      }
    }
    if (ip.empty()) return;
    TextMap labels = {{std::string(kAddressLabel), JoinHostPort(ip, port_)},
                      {"__meta_ecs_ip_address", ip},
                      {"__meta_ecs_region", region},
                      {"__meta_ecs_launch_type", Text(task, "launchType")},
                      {"__meta_ecs_health_status", Text(task, "healthStatus")},
                      {"__meta_ecs_network_mode", mode}};
    SetIfText(view.cluster, "clusterArn", "__meta_ecs_cluster_arn", &labels);
    SetIfText(view.cluster, "clusterName", "__meta_ecs_cluster", &labels);
    constexpr std::pair<const char*, const char*> kTaskLabels[] = {
        {"group", "__meta_ecs_task_group"},
        {"taskArn", "__meta_ecs_task_arn"},
        {"taskDefinitionArn", "__meta_ecs_task_definition"},
        {"availabilityZone", "__meta_ecs_availability_zone"},
        {"desiredStatus", "__meta_ecs_desired_status"},
        {"lastStatus", "__meta_ecs_last_status"},
        {"containerInstanceArn", "__meta_ecs_container_instance_arn"},
        {"platformFamily", "__meta_ecs_platform_family"},
        {"platformVersion", "__meta_ecs_platform_version"},
    };
    for (const auto& [member, label] : kTaskLabels) SetIfText(task, member, label, &labels);
    SetUnlessEmpty("__meta_ecs_subnet_id", subnet, &labels);
    SetUnlessEmpty("__meta_ecs_public_ip", public_ip, &labels);
    SetUnlessEmpty("__meta_ecs_ec2_instance_id", machine, &labels);
    if (host != nullptr) {
      SetUnlessEmpty("__meta_ecs_ec2_instance_type", host->type, &labels);
      SetUnlessEmpty("__meta_ecs_ec2_instance_private_ip", host->private_ip, &labels);
      SetUnlessEmpty("__meta_ecs_ec2_instance_public_ip", host->public_ip, &labels);
    }
    SetTags(view.cluster, "__meta_ecs_tag_cluster_", &labels);
    SetService(Text(task, "group"), view, &labels);
    SetTags(task, "__meta_ecs_tag_task_", &labels);
    if (host != nullptr) {
      for (const auto& [key, value] : host->tags) {
        labels["__meta_ecs_tag_ec2_" + SanitizeLabelName(key)] = value;
      }
    }
    targets->push_back(ToTarget(std::move(labels)));
  }

  // The group of a task names the service it belongs to.
  static void SetService(const std::string& group, const ClusterView& view, TextMap* labels) {
    constexpr std::string_view kPrefix = "service:";
    if (!group.starts_with(kPrefix)) return;
    const auto service = view.services.find(group.substr(kPrefix.size()));
    if (service == view.services.end()) return;
    SetIfText(service->second, "serviceName", "__meta_ecs_service", labels);
    SetIfText(service->second, "serviceArn", "__meta_ecs_service_arn", labels);
    SetIfText(service->second, "status", "__meta_ecs_service_status", labels);
    SetTags(service->second, "__meta_ecs_tag_service_", labels);
  }

  const int64_t port_;
  const std::vector<std::string> clusters_;
  AwsClient ecs_;
  AwsClient ec2_;
};

}  // namespace

std::unique_ptr<Discoverer> MakeEcsDiscoverer(const EcsSdConfig& config, std::string set_name,
                                              DiscoveryEnvironment& environment) {
  return std::make_unique<EcsDiscoverer>(config, std::move(set_name), environment);
}

}  // namespace narthex
