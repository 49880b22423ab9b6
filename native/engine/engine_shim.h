// Force-included into every engine source but util.cpp (native/cmake/NdEngine.cmake). The engine formats log
// lines in one static buffer, which two models working at once would write together; log.cpp takes its place.
#pragma once
#define log_printf nd_log_printf
