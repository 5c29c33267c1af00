// Everything of the client library. Programs that care for build times include what they use.
#pragma once

#include "narthex/client/callback.h"
#include "narthex/client/collector.h"
#include "narthex/client/counter.h"
#include "narthex/client/custom.h"
#include "narthex/client/exemplar.h"
#include "narthex/client/exposition.h"
#include "narthex/client/family.h"
#include "narthex/client/gauge.h"
#include "narthex/client/histogram.h"
#include "narthex/client/info.h"
#include "narthex/client/process_collector.h"
#include "narthex/client/registry.h"
#include "narthex/client/state_set.h"
#include "narthex/client/summary.h"
#include "narthex/client/text_reader.h"
#include "narthex/client/timer.h"
