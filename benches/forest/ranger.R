# ranger as a peer: one fit.
# Arguments: classes|numbers table-folder out-folder columns trees min-leaf candidates seed threads categories
a <- commandArgs(TRUE)
suppressMessages(library(ranger))
classes <- a[1] == "classes"; table <- a[2]; out <- a[3]
n <- as.integer(a[4:9]); names(n) <- c("columns", "trees", "leaf", "candidates", "seed", "threads")
categories <- if (a[10] == "none") integer(0) else as.integer(strsplit(a[10], ",")[[1]])

numbers <- function(file, size) readBin(file, "double", n = file.info(file)$size / size, size = size, endian = "little")
status <- function(key) {
  lines <- readLines("/proc/self/status")
  as.numeric(sub("[^0-9]*([0-9]+).*", "\\1", grep(key, lines, value = TRUE))) / 1024
}
features <- function(part) {
  m <- matrix(numbers(file.path(table, paste0(part, ".raw")), 4), ncol = n[["columns"]], byrow = TRUE)
  colnames(m) <- paste0("x", seq_len(n[["columns"]]))
  m
}
# Categories need a data frame; numbers are fastest as a matrix.
levels_of <- list()
typed <- function(m) {
  if (length(categories) == 0) return(m)
  d <- as.data.frame(m)
  for (c in categories) d[[c]] <- factor(d[[c]], levels = levels_of[[as.character(c)]])
  d
}

X <- features("X_train")
for (c in categories) levels_of[[as.character(c)]] <- sort(unique(c(X[, c], features("X_fresh")[, c], features("X_held_out")[, c])))
X <- typed(X)
y <- numbers(file.path(table, "y_train.raw"), 8)
if (classes) y <- factor(y)
invisible(gc())
base <- status("VmRSS")
cat("5", file = "/proc/self/clear_refs")

arguments <- list(x = X, y = y, num.trees = n[["trees"]], mtry = n[["candidates"]], probability = classes, oob.error = FALSE,
                  num.threads = n[["threads"]], seed = n[["seed"]], verbose = FALSE)
if (length(categories) > 0) arguments$respect.unordered.factors <- "order"
# min.node.size is the size below which a node is not split; min.bucket, in newer versions, is the least leaf.
arguments$min.node.size <- 2 * n[["leaf"]] - 1
if ("min.bucket" %in% names(formals(ranger))) arguments$min.bucket <- n[["leaf"]]
before <- proc.time()
model <- do.call(ranger, arguments)
used <- proc.time() - before
peak <- status("VmHWM")

answer <- function(rows) predict(model, rows, num.threads = n[["threads"]])$predictions
held_out <- answer(typed(features("X_held_out")))
if (classes) held_out <- t(held_out[, order(as.numeric(colnames(held_out))), drop = FALSE])
writeBin(as.double(held_out), file.path(out, "predictions.raw"), size = 8, endian = "little")

fresh <- typed(features("X_fresh"))
times <- c(); start <- proc.time()
while (length(times) < 3 && sum(times) < 20) {
  before <- proc.time()[["elapsed"]]
  invisible(answer(fresh))
  times <- c(times, proc.time()[["elapsed"]] - before)
}
predict_cpu <- sum((proc.time() - start)[c("user.self", "sys.self")]) / length(times)
one <- c()
while (length(one) < 200 && sum(one) < 3) {
  row <- fresh[length(one) + 1, , drop = FALSE]
  before <- Sys.time()
  invisible(answer(row))
  one <- c(one, as.numeric(Sys.time() - before, units = "secs"))
}
file <- file.path(out, "model.rds")
saveRDS(model, file, compress = FALSE)
cat(sprintf(paste0('{"version": "%s", "fit_s": %f, "fit_cpu_s": %f, "base_mb": %f, "peak_mb": %f, "predict_s": %f, ',
                   '"predict_cpu_s": %f, "row_us": %f, "model_mb": %f}\n'),
            packageVersion("ranger"), used[["elapsed"]], used[["user.self"]] + used[["sys.self"]], base, peak - base,
            median(times), predict_cpu, median(one) * 1e6, file.info(file)$size / 1e6))
