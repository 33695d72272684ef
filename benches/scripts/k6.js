// The works of bare, get and post.luau for k6; scripts/bench sets WORK, the load and BASE_URL.
import http from "k6/http";
import { check } from "k6";
import exec from "k6/execution";

const BASE = __ENV.BASE_URL || "http://127.0.0.1:7392";

function scenario() {
    if (__ENV.ONCE) {
        return { executor: "shared-iterations", vus: 1, iterations: 1 };
    }
    if (__ENV.RATE) {
        const vus = Number(__ENV.RATED_VUS);
        return {
            executor: "constant-arrival-rate",
            rate: Number(__ENV.RATE),
            timeUnit: "1s",
            duration: __ENV.DURATION,
            preAllocatedVUs: vus,
            maxVUs: vus,
        };
    }
    return { executor: "constant-vus", vus: Number(__ENV.VUS || 64), duration: __ENV.DURATION || "4s" };
}

export const options = { scenarios: { default: scenario() } };

const WORKS = {
    get() {
        http.get(`${BASE}/`);
    },
    check() {
        const res = http.get(`${BASE}/`);
        check(res, { "status is 200": (r) => r.status === 200 });
    },
    post() {
        const order = {
            user: "ada",
            note: `of VU ${exec.vu.idInTest}`,
            items: [{ sku: "tide", count: 2, price: 12.5 }, { sku: "ebb", count: 1, price: 3 }],
        };
        const headers = { "Content-Type": "application/json" };
        const res = http.post(`${BASE}/json`, JSON.stringify(order), { headers });
        check(res, {
            "status is 200": (r) => r.status === 200,
            "is paid": (r) => r.json("order.state") === "paid",
        });
    },
};

export default WORKS[__ENV.WORK || "get"];
