#include "exporters/node/node_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "narthex/client/exposition.h"
#include "narthex/client/registry.h"

namespace narthex::exporters::node {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A procfs with a few files.
class NodeExporterTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, std::string_view text) {
    const std::string full = JoinPath(folder_.path(), path);
    ASSERT_TRUE(FileSystem::Posix().CreateDirectories(DirName(full)).ok());
    ASSERT_TRUE(FileSystem::Posix().WriteAtomically(full, text).ok());
  }
  std::string Page() {
    client::Registry registry;
    NodeOptions options;
    options.procfs = folder_.path();
    EXPECT_TRUE(registry.Register(std::make_shared<NodeCollector>(options)).ok());
    const client::ScrapeResponse page = client::Scrape(registry, "");
    EXPECT_THAT(page.errors, ::testing::IsEmpty());
    return page.body;
  }

  TemporaryDirectory folder_;
};

TEST_F(NodeExporterTest, ReadsTheKernelsFiles) {
  Write("stat",
        "cpu  1 2 3\ncpu0 44490 19 21045 1087069 220 1 3410 0 2 1\nintr 8885917 17 0\n"
        "ctxt 38014093\nbtime 1418183276\nprocesses 26442\nprocs_running 2\nprocs_blocked 1\n");
  Write("loadavg", "0.21 0.37 0.39 1/719 19737\n");
  Write("meminfo", "MemTotal: 3742148 kB\nActive(anon): 10 kB\nHugePages_Total: 7\n");
  Write("vmstat", "pgpgin 7\noom_kill 1\nnr_free_pages 9\npgmajfault 3\n");
  Write("sys/fs/file-nr", "1024 0 1631329\n");
  Write("diskstats",
        "   8 0 sda 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 63877960 0 "
        "9653880 82621804 1 2 3 4 5 6\n   8 1 sda1 1 1 1 1 1 1 1 1 1 1 1\n 7 0 loop0 1 1 1 1\n");
  Write("net/dev",
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes packets errs|bytes\n"
        "  eth0: 68210035552 520993275 0 0 0 0 0 0 9315587528 43451486 0 0 0 0 0 0\n");
  Write("1/mountinfo",
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /proc rw - proc proc rw\n"
        "3 1 8:2 / /no\\040such rw - ext4 /dev/sda2 ro\n");
  const std::string page = Page();
  for (
      const std::string_view line : {
          "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 10870.69\n",
          "node_cpu_seconds_total{cpu=\"0\",mode=\"steal\"} 0\n",
          "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"user\"} 0.02\n",
          "node_intr_total 8.885917e+06\n",
          "node_boot_time_seconds 1.418183276e+09\n",
          "node_load15 0.39\n",
          "node_memory_MemTotal_bytes 3.831959552e+09\n",
          "node_memory_Active_anon_bytes 10240\n",
          "node_memory_HugePages_Total 7\n",
          "node_vmstat_pgmajfault 3\n",
          "# TYPE node_vmstat_oom_kill untyped\n",
          "node_filefd_maximum 1.631329e+06\n",
          "node_disk_read_bytes_total{device=\"sda\"} 5.13713216512e+11\n",
          "node_disk_io_time_seconds_total{device=\"sda\"} 9653.880000000001\n",
          "node_disk_flush_requests_time_seconds_total{device=\"sda\"} 0.006\n",
          "node_network_receive_bytes_total{device=\"eth0\"} 6.8210035552e+10\n",
          "node_network_transmit_packets_total{device=\"eth0\"} 4.3451486e+07\n",
          R"(node_filesystem_readonly{device="/dev/sda1",device_error="",fstype="ext4",mountpoint="/"} 0)",
          "node_filesystem_device_error{device=\"/dev/sda2\",device_error=\"no such file or",
          "node_uname_info{",
          "node_scrape_collector_success{collector=\"netdev\"} 1\n",
      }) {
    EXPECT_THAT(page, HasSubstr(line));
  }
  for (const std::string_view absent : {"sda1\",device=", "loop0", "nr_free_pages", "\"/proc\""}) {
    EXPECT_THAT(page, Not(HasSubstr(absent)));
  }
}

TEST_F(NodeExporterTest, ReportsCollectorsThatFailAndGoesOn) {
  Write("loadavg", "0.21 0.37 0.39 1/719 19737\n");
  Write("meminfo", "MemTotal: many kB\n");
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("node_scrape_collector_success{collector=\"cpu\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("node_scrape_collector_success{collector=\"meminfo\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("node_scrape_collector_success{collector=\"loadavg\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("node_load1 0.21\n"));
}

}  // namespace
}  // namespace narthex::exporters::node
