module mailload

go 1.19
