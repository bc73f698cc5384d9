/* An engine in C, without any library: the paper's network (a convolution with any number of
   filters, ReLU, 2x2 max pooling, flatten, dense, softmax), trained by plain gradient descent.

     cc -O3 -march=native -o engine examples/engine.c -lm
     bench run --preset smoke --engines myad,c --command c=./engine

   `contract.h` holds what any engine in C needs; this file is the network and the two phases. */
#include "contract.h"
#include <math.h>

static long H, W, C, KH, KW, F, OH, OW, PH, PW, D, K; /* sizes: image, kernel, conv, pool, dense */
static float *ck, *cb, *dk, *db, *x, *z, *p, *logits; /* weights, one image, its activations */
static long *winner;

static void forward(const unsigned char *image) {
    for (long i = 0; i < H * W * C; i++) x[i] = image[i] / 255.0f;
    for (long i = 0; i < OH; i++)
        for (long j = 0; j < OW; j++) {
            float *out = z + (i * OW + j) * F;
            memcpy(out, cb, 4 * F);
            for (long u = 0; u < KH; u++)
                for (long v = 0; v < KW * C; v++) {
                    float pixel = x[((i + u) * W + j) * C + v];
                    for (long f = 0; f < F; f++) out[f] += pixel * ck[(u * KW * C + v) * F + f];
                }
            for (long f = 0; f < F; f++) out[f] = out[f] > 0 ? out[f] : 0;
        }
    for (long i = 0; i < PH; i++)
        for (long j = 0; j < PW; j++)
            for (long f = 0; f < F; f++) {
                long best = (2 * i * OW + 2 * j) * F + f;
                for (int q = 1; q < 4; q++) {
                    long at = ((2 * i + q / 2) * OW + 2 * j + q % 2) * F + f;
                    if (z[at] > z[best]) best = at; /* the first of equals, as in Keras */
                }
                winner[(i * PW + j) * F + f] = best;
                p[(i * PW + j) * F + f] = z[best];
            }
    memcpy(logits, db, 4 * K);
    for (long d = 0; d < D; d++)
        for (long k = 0; k < K; k++) logits[k] += p[d] * dk[d * K + k];
}
/* Adds the image's gradient, scaled by 1/size of the batch, to g; returns its loss. */
static double backward(int label, float scale, float *gck, float *gcb, float *gdk, float *gdb) {
    float top = logits[0], sum = 0, dz[256];
    for (long k = 1; k < K; k++) top = fmaxf(top, logits[k]);
    for (long k = 0; k < K; k++) sum += dz[k] = expf(logits[k] - top);
    double loss = log(sum) - (logits[label] - top);
    for (long k = 0; k < K; k++) dz[k] = (dz[k] / sum - (k == label)) * scale, gdb[k] += dz[k];
    for (long d = 0; d < D; d++) {
        float back = 0;
        for (long k = 0; k < K; k++) back += dz[k] * dk[d * K + k], gdk[d * K + k] += dz[k] * p[d];
        if (p[d] <= 0) continue; /* ReLU */
        long at = winner[d], f = at % F, i = at / F / OW, j = at / F % OW;
        gcb[f] += back;
        for (long u = 0; u < KH; u++)
            for (long v = 0; v < KW * C; v++)
                gck[(u * KW * C + v) * F + f] += back * x[((i + u) * W + j) * C + v];
    }
    return loss;
}
static void check_supported(void) {
    const char *types[] = {"\"conv2d\"", "\"max_pooling2d\"", "\"flatten\"", "\"dense\"", NULL};
    char *at = value("model", "layers"), *end = strstr(job, "\"training\":");
    for (int i = 0; (at = strstr(at, "\"type\":")) && at < end; i++) {
        at = strchr(at + 7, '"');
        if (!types[i] || strncmp(at, types[i], strlen(types[i])))
            leave(69, "unsupported: layers other than", "conv2d, max_pooling2d, flatten, dense");
    }
    if (strstr(job, "\"same\"") || number("layers", "strides") != 1 ||
        strcmp(text("layers", "activation"), "relu") || number("layers", "pool_size") != 2)
        leave(69, "unsupported", "padding, strides, activation or pool size");
    if (strcmp(text("training", "optimizer"), "sgd") || number("training", "momentum") ||
        strcmp(text("training", "dtype"), "float32"))
        leave(69, "unsupported", "optimizer, momentum or dtype");
}
int main(int argc, char **argv) {
    long size;
    if (argc != 4 || strcmp(argv[2], "--job"))
        leave(2, "usage", "train --job JOB.json | test --job JOB.json");
    job = slurp(argv[3], &size);
    check_supported();
    int training = !strcmp(argv[1], "train");
    FILE *report = fopen(text("", "report"), "a");
    Array images = array(text("data", "images"), "|u1");
    H = images.shape[1], W = images.shape[2], C = images.shape[3];
    KH = number("layers", "kernel_size"),
    KW = atof(strpbrk(value("layers", "kernel_size"), ",") + 1);
    F = number("layers", "filters"), K = number("layers", "units");
    OH = H - KH + 1, OW = W - KW + 1, PH = OH / 2, PW = OW / 2, D = PH * PW * F;
    const char *names[] = {"0.kernel.npy", "0.bias.npy", "3.kernel.npy", "3.bias.npy"};
    long counts[] = {KH * KW * C * F, F, D * K, K};
    float **weights[] = {&ck, &cb, &dk, &db}, *g[4];
    char *zip = slurp(text("", training ? "initial_weights" : "weights"), &size), shapes[4][64];
    for (int i = 0; i < 4; i++)
        *weights[i] = member(zip, size, names[i], counts[i]), g[i] = malloc(4 * counts[i]);
    x = malloc(4 * H * W * C), z = malloc(4 * OH * OW * F), p = malloc(4 * D),
    winner = malloc(sizeof(long) * D), logits = malloc(4 * K);
    long n = images.shape[0], step = H * W * C,
         batch = number(training ? "training" : "testing", "batch_size");
    double start = now();
    if (training) {
        Array labels = array(text("data", "labels"), "|u1"), order = {0};
        if (text("data", "order")) order = array(text("data", "order"), "<i4");
        float rate = number("training", "learning_rate");
        for (int epoch = 0, epochs = number("training", "epochs"); epoch < epochs; epoch++) {
            double begin = now(), loss = 0;
            for (long first = 0; first < n; first += batch) {
                long count = n - first < batch ? n - first : batch;
                for (int i = 0; i < 4; i++) memset(g[i], 0, 4 * counts[i]);
                for (long b = first; b < first + count; b++) {
                    long at = order.data ? ((int32_t *)order.data)[epoch * n + b] : b;
                    forward(images.data + at * step);
                    loss += backward(labels.data[at], 1.0f / count, g[0], g[1], g[2], g[3]);
                }
                for (int i = 0; i < 4; i++)
                    for (long w = 0; w < counts[i]; w++) (*weights[i])[w] -= rate * g[i][w];
            }
            fprintf(report,
                    "{\"event\": \"epoch\", \"epoch\": %d, \"seconds\": %.9f, \"loss\": %.9g, "
                    "\"examples\": %ld}\n",
                    epoch + 1, now() - begin, loss / n, n);
        }
    } else {
        FILE *out = fopen(text("", "predictions"), "wb");
        char head[256], shape[64];
        snprintf(shape, sizeof shape, "%ld,", n);
        fwrite(head, 1, npy_header(head, "|u1", shape), out);
        for (long b = 0, best; b < n; b++) {
            forward(images.data + b * step);
            best = 0;
            for (long k = 1; k < K; k++)
                if (logits[k] > logits[best]) best = k;
            fputc(best, out);
        }
        fclose(out);
    }
    fprintf(report, "{\"event\": \"phase\", \"name\": \"%s\", \"seconds\": %.9f}\n", argv[1],
            now() - start);
    if (training) {
        snprintf(shapes[0], 64, "%ld, %ld, %ld, %ld", KH, KW, C, F),
            snprintf(shapes[1], 64, "%ld,", F);
        snprintf(shapes[2], 64, "%ld, %ld", D, K), snprintf(shapes[3], 64, "%ld,", K);
        float *values[] = {ck, cb, dk, db};
        write_npz(text("", "weights"), names, shapes, values, counts);
    }
    fprintf(report,
            "{\"event\": \"done\", \"nonce\": \"%s\", \"parameters\": %ld, \"layers\": "
            "[\"conv2d\", \"max_pooling2d\", \"flatten\", \"dense\"], \"dtype\": \"float32\", "
            "\"batch_size\": %ld, \"threads\": 1, \"versions\": {\"c\": \"%s\"}}\n",
            text("", "nonce"), counts[0] + counts[1] + counts[2] + counts[3], batch, __VERSION__);
    return fclose(report);
}
