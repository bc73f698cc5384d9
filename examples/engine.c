/* An engine in C, all in this file, without any library: convolution with ReLU, 2x2 max pooling,
   flatten, dense with softmax; plain gradient descent. docs/engines.md explains job and report.

     cc -O3 -march=native -o engine examples/engine.c -lm
     bench run --preset smoke --engines myad,c --command c=./engine */
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef float __attribute__((aligned(1))) Loose; /* little-endian, anywhere in a file */
enum { CONV, CONV_BIAS, DENSE, DENSE_BIAS };
static const char *names[] = {"0.kernel.npy", "0.bias.npy", "3.kernel.npy", "3.bias.npy"};
static Loose *weights[4];                    /* in the bytes of the weight file */
static float *grad[4];                       /* summed over a batch */
static float rate, *image, *pooled, *logits; /* learning rate; what is known of one image */
static const float **winner;                 /* the window that a pooled value is from */
static long counts[4], taps, *tap;           /* of weights; a kernel's places in an image */
static long H, W, C, KH, KW, F, PW, D, K;    /* image, kernel, filters, pooled, dense */
static long n, epochs, batch[2];             /* images; batch of training and of testing */
static uint8_t *images, *labels;
static int32_t *order;
static char *job; /* the text of JOB.json */
/* Ends the program unless all is well. Code 69 refuses a workload, before anything is measured. */
static void check(int ok, int code, const char *what) {
    if (!ok) fprintf(stderr, "%s: %s\n", code == 69 ? "unsupported" : "unusable", what), exit(code);
}
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}
static char *read_file(const char *path, long *size) {
    FILE *file = fopen(path, "rb");
    check(file && !fseek(file, 0, SEEK_END), 1, path);
    *size = ftell(file);
    rewind(file);
    char *bytes = calloc(*size + 1, 1); /* ends in 0: text is a string */
    check(fread(bytes, 1, *size, file) == (size_t)*size, 1, path);
    fclose(file);
    return bytes;
}

/* A string of the job; null gives NULL. Enough JSON, as all keys differ and no path is escaped. */
static const char *text(const char *key) {
    static char quoted[64], value[4096]; /* until the next call */
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    char *at = strstr(job, quoted);
    check(at != NULL, 1, key);
    at += strlen(quoted) + strspn(at + strlen(quoted), " ");
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at + 1, "\""), at + 1);
    return *at == '"' ? value : NULL;
}
/* The values of a .npy file, which begins with 10 bytes and a text that tells type and shape. */
static void *npy(char *file, const char *type, long *count) {
    char found[4] = "";
    long sizes[] = {1, 1, 1, 1};
    sscanf(file + 10, "{'descr': '%3[^']', 'fortran_order': False, 'shape': (%ld, %ld, %ld, %ld",
           found, sizes, sizes + 1, sizes + 2, sizes + 3);
    check(!strcmp(found, type), 1, "an array of another type");
    *count = sizes[0] * sizes[1] * sizes[2] * sizes[3];
    return file + 10 + (uint8_t)file[8] + 256 * file[9];
}
/* A .npz file is a zip file of .npy files, here uncompressed. This finds the weights, which are
   trained where they lie, and renews the checksums before each and in the directory at the end. */
static void visit_weights(char *zip, long size) {
    for (long i = 0, count; i < 4; i++) {
        char *name = memmem(zip, size, names[i], strlen(names[i]));
        check(name != NULL, 1, names[i]);
        char *first = name + strlen(names[i]) + name[-2];
        weights[i] = npy(first, "<f4", &count);
        check(count == counts[i], 1, names[i]);
        char *end = (char *)(weights[i] + count);
        char *listed = memmem(end, zip + size - end, names[i], strlen(names[i]));
        uint32_t crc = ~0u;
        for (long bit = 0; bit < 8 * (end - first); bit++)
            crc = crc >> 1 ^ (0xEDB88320u & -((crc ^ first[bit / 8] >> bit % 8) & 1));
        crc = ~crc;
        memcpy(name - 16, &crc, 4);
        memcpy(listed - 30, &crc, 4);
    }
}

/* Computes the logits of one image; returns its class. */
static int forward(const uint8_t *pixels) {
    for (long i = 0; i < H * W * C; i++) image[i] = pixels[i] / 255.0f;
    for (long d = 0; d < D; d++) { /* convolution, ReLU and pooling for one output (i, j, f) */
        long f = d % F, j = d / F % PW, i = d / F / PW;
        pooled[d] = 0;
        for (int q = 0; q < 4; q++) {
            const float *window = image + ((2 * i + q / 2) * W + 2 * j + q % 2) * C;
            float z = weights[CONV_BIAS][f];
            for (long t = 0; t < taps; t++) z += window[tap[t]] * weights[CONV][t * F + f];
            if (z > pooled[d]) pooled[d] = z, winner[d] = window; /* the first of equals */
        }
    }
    memcpy(logits, weights[DENSE_BIAS], 4 * K);
    for (long d = 0; d < D; d++)
        for (long k = 0; k < K; k++) logits[k] += pooled[d] * weights[DENSE][d * K + k];
    int best = 0;
    for (long k = 1; k < K; k++) best = logits[k] > logits[best] ? k : best;
    return best;
}
/* Adds the image's gradient to the batch's; returns its loss. */
static double backward(int label, int best) {
    float top = logits[best], sum = 0, *dz = logits; /* without `top`, expf could overflow */
    double loss = top - logits[label];
    for (long k = 0; k < K; k++) sum += dz[k] = expf(logits[k] - top);
    for (long k = 0; k < K; k++) dz[k] = dz[k] / sum - (k == label), grad[DENSE_BIAS][k] += dz[k];
    for (long d = 0; d < D; d++) {
        float back = 0;
        for (long k = 0; k < K; k++) {
            grad[DENSE][d * K + k] += pooled[d] * dz[k];
            back += weights[DENSE][d * K + k] * dz[k];
        }
        if (pooled[d] <= 0) continue; /* ReLU */
        grad[CONV_BIAS][d % F] += back;
        for (long t = 0; t < taps; t++) grad[CONV][t * F + d % F] += back * winner[d][tap[t]];
    }
    return loss + log(sum);
}

/* Takes the sizes and settings from the job, and refuses all but the one network known here. */
static void prepare(void) {
    char plain[2000] = ""; /* the workload without quotes and white space */
    int layers = 0, training = 0, length = 0;
    for (char *s = strstr(job, "\"input_shape\""); s && *s && length < 1999; s++)
        if (!strchr(" \n\"", *s)) plain[length++] = *s;
    sscanf(plain,
           "input_shape:[%ld,%ld,%ld],classes:%*d,layers:[{type:conv2d,filters:%ld,"
           "kernel_size:[%ld,%ld],strides:[1,1],padding:valid,activation:relu,use_bias:true,"
           "output_shape:[%*[0-9,]],pads:[[0,0],[0,0]]},{pool_size:[2,2],strides:[2,2],"
           "padding:valid,type:max_pooling2d,output_shape:[%*d,%ld,%*d],pads:[[0,0],[0,0]]},"
           "{type:flatten,output_shape:[%ld]},{type:dense,units:%ld,activation:softmax,"
           "use_bias:true,output_shape:[%*d]}]%n",
           &H, &W, &C, &F, &KH, &KW, &PW, &D, &K, &layers);
    check(layers, 69, "layers other than conv2d (valid), max_pooling2d (2), flatten, dense");
    sscanf(plain + layers,
           "},training:{optimizer:sgd,learning_rate:%f,momentum:0.0,beta_1:%*f,beta_2:%*f,"
           "epsilon:%*f,epochs:%ld,batch_size:%ld,shuffle:%*[a-z],dtype:float32,"
           "loss:%*[a-z_]},testing:{batch_size:%ld}%n",
           &rate, &epochs, &batch[0], &batch[1], &training);
    check(training, 69, "training other than by sgd without momentum in float32");
    taps = KH * KW * C, counts[CONV] = taps * F, counts[CONV_BIAS] = F;
    counts[DENSE] = D * K, counts[DENSE_BIAS] = K;
    for (int i = 0; i < 4; i++) grad[i] = calloc(counts[i], 4);
    image = calloc(H * W * C, 4), pooled = calloc(D, 4), logits = calloc(K, 4);
    winner = calloc(D, sizeof *winner), tap = calloc(taps, sizeof *tap);
    for (long t = 0; t < taps; t++) tap[t] = t / (KW * C) * W * C + t % (KW * C);
}
static void train(FILE *report) {
    for (long epoch = 0; epoch < epochs; epoch++) {
        double begin = now(), loss = 0;
        for (long b = 0; b < n; b++) {
            long at = order ? order[epoch * n + b] : b;
            loss += backward(labels[at], forward(images + at * H * W * C));
            if ((b + 1) % batch[0] && b + 1 < n) continue; /* the last batch may be short */
            for (int i = 0; i < 4; i++)
                for (long w = 0; w < counts[i]; grad[i][w++] = 0)
                    weights[i][w] -= rate / (b % batch[0] + 1) * grad[i][w];
        }
        fprintf(report, "{\"event\":\"epoch\",\"epoch\":%ld,\"examples\":%ld,", epoch + 1, n);
        fprintf(report, "\"seconds\":%g,\"loss\":%.9g}\n", now() - begin, loss / n);
    }
}
static void test(FILE *out) {
    fwrite("\x93NUMPY\1\0v\0", 1, 10, out); /* version 1.0; 118 ('v') characters follow */
    fprintf(out, "{'descr': '|u1', 'fortran_order': False, 'shape': (%-63ld,)}\n", n);
    for (long b = 0; b < n; b++) fputc(forward(images + b * H * W * C), out);
}
int main(int argc, char **argv) {
    long size;
    check(argc == 4 && !strcmp(argv[2], "--job"), 2, "these arguments: not train|test --job FILE");
    job = read_file(argv[3], &size);
    prepare();
    images = npy(read_file(text("images"), &n), "|u1", &n);
    n /= H * W * C;
    if (text("labels")) labels = npy(read_file(text("labels"), &size), "|u1", &size);
    if (text("order")) order = npy(read_file(text("order"), &size), "<i4", &size);
    int testing = !strcmp(argv[1], "test");
    char *zip = read_file(text(testing ? "weights" : "initial_weights"), &size);
    visit_weights(zip, size);
    FILE *out = fopen(text(testing ? "predictions" : "weights"), "wb");
    FILE *report = fopen(text("report"), "a");
    check(out && report, 1, "the files to write");
    double t0 = now();
    testing ? test(out) : train(report);
    fprintf(report, "{\"event\":\"phase\",\"name\":\"%s\",\"seconds\":%g}\n", argv[1], now() - t0);
    visit_weights(zip, size);
    if (!testing) fwrite(zip, 1, size, out);
    fprintf(report, "{\"event\":\"done\",\"nonce\":\"%s\",\"threads\":1,", text("nonce"));
    fprintf(report, "\"batch_size\":%ld,\"versions\":{\"c\":\"%s\"},", batch[testing], __VERSION__);
    fprintf(report, "\"parameters\":%ld,\"dtype\":\"float32\",", (taps + 1) * F + (D + 1) * K);
    fputs("\"layers\":[\"conv2d\",\"max_pooling2d\",\"flatten\",\"dense\"]}\n", report);
    check(!fclose(out) && !fclose(report), 1, "the files to write");
}
