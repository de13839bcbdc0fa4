#include "profile_table.h"

#include <algorithm>
#include <cstdio>

namespace localvqe {
namespace {

void print_row(const BlockCost & cost, double microseconds, double share) {
    std::printf("%-12s %8.1f %6.1f", cost.block.c_str(), microseconds, 100.0 * share);
    if (cost.operations == 0) {
        std::printf("\n");
        return;
    }
    const double products = double(cost.multiply_adds);
    std::printf(" %5d %9.3f %7.1f %8.1f %8.1f\n", cost.operations, products / 1e6,
                microseconds > 0.0 ? products / 1e3 / microseconds : 0.0, double(cost.weight_bytes) / 1024.0,
                double(cost.state_bytes) / 1024.0);
}

} // namespace

void print_profile(const Profile & profile, const std::vector<BlockCost> & costs) {
    double total = 0.0;
    for (const BlockTime & b : profile.blocks()) {
        total += double(b.nanoseconds);
    }
    const double hops = double(profile.hops());
    std::printf("%-12s %8s %6s %5s %9s %7s %8s %8s\n", "block", "us/hop", "%", "ops", "M macs", "per ns", "kB fixed",
                "kB state");
    BlockCost all{"total"};
    for (const BlockTime & b : profile.blocks()) {
        BlockCost cost{b.block};
        const auto same = [&](const BlockCost & c) { return c.block == b.block; };
        for (auto c = costs.begin(); (c = std::find_if(c, costs.end(), same)) != costs.end(); ++c) {
            cost.operations += c->operations;
            cost.multiply_adds += c->multiply_adds;
            cost.weight_bytes += c->weight_bytes;
            cost.state_bytes += c->state_bytes;
        }
        all.operations += cost.operations;
        all.multiply_adds += cost.multiply_adds;
        all.weight_bytes += cost.weight_bytes;
        all.state_bytes += cost.state_bytes;
        print_row(cost, double(b.nanoseconds) / 1e3 / hops, total > 0.0 ? double(b.nanoseconds) / total : 0.0);
    }
    print_row(all, total / 1e3 / hops, 1.0);
    std::printf("over %llu hops; macs: multiply-adds of a hop; fixed: weights, which streams of a model share; state: "
                "of this stream\n",
                static_cast<unsigned long long>(profile.hops()));
    std::fflush(stdout);
}

} // namespace localvqe
