module localvqe.example/enhance

go 1.18
